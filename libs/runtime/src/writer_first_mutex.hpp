// A shared mutex in which a waiting writer keeps new readers out. std::shared_mutex of libstdc++ prefers readers: those
// that look up without pause shut a writer out for good. Not recursive. Fits std::shared_lock and std::lock_guard.
#pragma once

#include <pthread.h>
#include <system_error>

namespace warpwright::detail {

class WriterFirstMutex {
 public:
  WriterFirstMutex() {
    pthread_rwlockattr_t attributes;
    check(::pthread_rwlockattr_init(&attributes));
    ::pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    const int status = ::pthread_rwlock_init(&lock_, &attributes);
    ::pthread_rwlockattr_destroy(&attributes);
    check(status);
  }
  ~WriterFirstMutex() { ::pthread_rwlock_destroy(&lock_); }
  WriterFirstMutex(const WriterFirstMutex&) = delete;
  WriterFirstMutex& operator=(const WriterFirstMutex&) = delete;

  void lock() { check(::pthread_rwlock_wrlock(&lock_)); }
  void unlock() { ::pthread_rwlock_unlock(&lock_); }
  void lock_shared() { check(::pthread_rwlock_rdlock(&lock_)); }
  void unlock_shared() { ::pthread_rwlock_unlock(&lock_); }

 private:
  static void check(int status) {
    if (status != 0) throw std::system_error(status, std::generic_category(), "a lock of the profile cache");
  }

  pthread_rwlock_t lock_;
};

}  // namespace warpwright::detail
