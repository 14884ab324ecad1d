/* tenor: an asynchronous tensor runtime. This header is all that a program includes. */
#ifndef TENOR_H
#define TENOR_H

#include <tenor/callback.h>
#include <tenor/dlpack.h>
#include <tenor/dump.h>
#include <tenor/error.h>
#include <tenor/future.h>
#include <tenor/live.h>
#include <tenor/mailbox.h>
#include <tenor/ops.h>
#include <tenor/promise.h>
#include <tenor/request.h>
#include <tenor/runtime.h>
#include <tenor/scope.h>
#include <tenor/stats.h>
#include <tenor/tensor.h>
#include <tenor/trace.h>
#include <tenor/transfer.h>
#include <tenor/view.h>

#endif
