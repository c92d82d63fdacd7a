// The process that is running, to know whether it was forked.
#pragma once

#if defined(_WIN32)
namespace imse {
inline long process_id() { return 0; }  // there is no fork
}  // namespace imse
#else
#include <unistd.h>
namespace imse {
inline long process_id() { return getpid(); }
}  // namespace imse
#endif
