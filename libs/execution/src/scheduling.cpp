#include "scheduling.hpp"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

namespace warpwright::execution {
namespace {

constexpr int niceness_of_compilers = 5;

bool set_policy(pid_t thread, int policy) {
  const sched_param none{};
  return ::sched_setscheduler(thread, policy, &none) == 0;
}

}  // namespace

DeferringThread::DeferringThread() {
  const pid_t thread = ::gettid();
  if (::sched_getscheduler(thread) == SCHED_OTHER && set_policy(thread, SCHED_BATCH)) thread_ = thread;
}

DeferringThread::~DeferringThread() {
  if (thread_ != 0 && ::sched_getscheduler(thread_) == SCHED_BATCH) set_policy(thread_, SCHED_OTHER);
}

void stand_back_as_compiler(bool beside_device) {
  set_policy(0, SCHED_BATCH);
  if (beside_device)
    static_cast<void>(::setpriority(PRIO_PROCESS, 0, ::getpriority(PRIO_PROCESS, 0) + niceness_of_compilers));
}

}  // namespace warpwright::execution
