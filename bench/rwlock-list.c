/* rwlock-list.c - the same, under a lock that many readers share. SPDX-License-Identifier: MIT */
#define LOCK pthread_rwlock_t
#define lock_new(l) pthread_rwlock_init(l, NULL)
#define lock_free pthread_rwlock_destroy
#define lock_to_read pthread_rwlock_rdlock
#define lock_to_write pthread_rwlock_wrlock
#define unlock pthread_rwlock_unlock
#include "sends.c"
