/* mutex-list.c - topics: subscribers in a list, and the latest value, under a mutex. SPDX-License-Identifier: MIT */
#define LOCK pthread_mutex_t
#define lock_new fast_mutex
#define lock_free pthread_mutex_destroy
#define lock_to_read pthread_mutex_lock
#define lock_to_write pthread_mutex_lock
#define unlock pthread_mutex_unlock
#include "sends.c"
