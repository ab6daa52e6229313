// Tasks and completions as messages.
#pragma once

#include <warpwright/base/error.hpp>
#include <warpwright/execution/evaluation.hpp>

#include "message_channel.hpp"

namespace warpwright::execution {

// The phase that a compile worker reports with its last breath.
inline constexpr const char* out_of_memory_phase = "out of memory";

Message to_message(const CompileTask& task);
Message to_message(const RunTask& task);
Message to_message(const InterleaveTask& task);
// A log over 1 MiB is cut.
Message to_message(const CompileDone& done);
Message to_message(const RunDone& done);
Message to_message(const InterleaveDone& done);
Message to_message(const EvaluationInfo& info);
// What a worker cannot go on after.
Message to_message(const Error& error);

CompileTask compile_task_from(const Message& message);
RunTask run_task_from(Message message);
InterleaveTask interleave_task_from(const Message& message);
CompileDone compile_done_from(Message message);
RunDone run_done_from(const Message& message);
InterleaveDone interleave_done_from(const Message& message);
EvaluationInfo evaluation_info_from(const Message& message);

}  // namespace warpwright::execution
