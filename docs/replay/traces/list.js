leatTraces([
 {
  "key": [
   "I1",
   "full_channel_is_freed",
   "mutant I1 a waiter is linked before the lock is taken",
   "A wait queue is changed without its lock"
  ],
  "group": "I1",
  "scenario": "full_channel_is_freed",
  "title": "A wait queue is changed without its lock",
  "mutant": "I1 a waiter is linked before the lock is taken",
  "traces": [
   [
    "i1-a-waiter-is-linked-before-the-lock-is-taken",
    "failed",
    "broken: I1 a waiter is linked before the lock is taken"
   ],
   [
    "i1-a-waiter-is-linked-before-the-lock-is-taken-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "I1",
   "send_recv senders=1 receivers=1 cap=1 each=3",
   "mutant I1 a waiter is resolved without the lock",
   "A waiter is resolved without the lock"
  ],
  "group": "I1",
  "scenario": "send_recv senders=1 receivers=1 cap=1 each=3",
  "title": "A waiter is resolved without the lock",
  "mutant": "I1 a waiter is resolved without the lock",
  "traces": [
   [
    "i1-a-waiter-is-resolved-without-the-lock",
    "failed",
    "broken: I1 a waiter is resolved without the lock"
   ],
   [
    "i1-a-waiter-is-resolved-without-the-lock-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "I2",
   "send_recv senders=1 receivers=1 cap=1 each=3",
   "mutant I2 a resolved waiter is not woken",
   "The winner of a waiter forgets to wake it"
  ],
  "group": "I2",
  "scenario": "send_recv senders=1 receivers=1 cap=1 each=3",
  "title": "The winner of a waiter forgets to wake it",
  "mutant": "I2 a resolved waiter is not woken",
  "traces": [
   [
    "i2-a-resolved-waiter-is-not-woken",
    "failed",
    "broken: I2 a resolved waiter is not woken"
   ],
   [
    "i2-a-resolved-waiter-is-not-woken-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "I2",
   "send_recv senders=1 receivers=1 cap=1 each=3",
   "mutant I2 a resolved waiter stays linked",
   "A resolved waiter stays in the queue"
  ],
  "group": "I2",
  "scenario": "send_recv senders=1 receivers=1 cap=1 each=3",
  "title": "A resolved waiter stays in the queue",
  "mutant": "I2 a resolved waiter stays linked",
  "traces": [
   [
    "i2-a-resolved-waiter-stays-linked",
    "failed",
    "broken: I2 a resolved waiter stays linked"
   ],
   [
    "i2-a-resolved-waiter-stays-linked-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "I3",
   "send_then_close senders=2 receivers=3 cap=1",
   "mutant I3 a waiter is read after it was woken",
   "The woken thread has returned, and its stack is used for something else"
  ],
  "group": "I3",
  "scenario": "send_then_close senders=2 receivers=3 cap=1",
  "title": "The woken thread has returned, and its stack is used for something else",
  "mutant": "I3 a waiter is read after it was woken",
  "traces": [
   [
    "i3-a-waiter-is-read-after-it-was-woken",
    "failed",
    "broken: I3 a waiter is read after it was woken"
   ],
   [
    "i3-a-waiter-is-read-after-it-was-woken-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "I4",
   "reply_channel_is_freed",
   "mutant I4 publishes, then resolves a waiter",
   "The receiver has the message and frees the channel; the sender still looks for a waiter"
  ],
  "group": "I4",
  "scenario": "reply_channel_is_freed",
  "title": "The receiver has the message and frees the channel; the sender still looks for a waiter",
  "mutant": "I4 publishes, then resolves a waiter",
  "traces": [
   [
    "i4-publishes-then-resolves-a-waiter",
    "failed",
    "broken: I4 publishes, then resolves a waiter"
   ],
   [
    "i4-publishes-then-resolves-a-waiter-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "I4",
   "closed_channel_is_freed",
   "mutant I4 close says CLOSED before it has resolved the waiters",
   "The channel is freed while it is being closed"
  ],
  "group": "I4",
  "scenario": "closed_channel_is_freed",
  "title": "The channel is freed while it is being closed",
  "mutant": "I4 close says CLOSED before it has resolved the waiters",
  "traces": [
   [
    "i4-close-says-closed-before-it-has-resolved-the-waiters",
    "failed",
    "broken: I4 close says CLOSED before it has resolved the waiters"
   ],
   [
    "i4-close-says-closed-before-it-has-resolved-the-waiters-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "I5",
   "send_recv senders=2 receivers=2 cap=1 each=1",
   "mutant I5 the next is not woken before the retry",
   "Two messages, one wake in flight"
  ],
  "group": "I5",
  "scenario": "send_recv senders=2 receivers=2 cap=1 each=1",
  "title": "Two messages, one wake in flight",
  "mutant": "I5 the next is not woken before the retry",
  "traces": [
   [
    "i5-the-next-is-not-woken-before-the-retry",
    "failed",
    "broken: I5 the next is not woken before the retry"
   ],
   [
    "i5-the-next-is-not-woken-before-the-retry-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "I5",
   "receiver_gives_up cap=1",
   "mutant I5 the next is not woken by a thread that leaves without a message",
   "The woken thread is cancelled, and keeps the wake to itself"
  ],
  "group": "I5",
  "scenario": "receiver_gives_up cap=1",
  "title": "The woken thread is cancelled, and keeps the wake to itself",
  "mutant": "I5 the next is not woken by a thread that leaves without a message",
  "traces": [
   [
    "i5-the-next-is-not-woken-by-a-thread-that-leaves-without-a-m",
    "failed",
    "broken: I5 the next is not woken by a thread that leaves without a message"
   ],
   [
    "i5-the-next-is-not-woken-by-a-thread-that-leaves-without-a-m-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "I6",
   "send_recv senders=1 receivers=1 cap=1 each=3",
   "mutant I6 parks without the bit",
   "A receiver parks and does not set WAITERS"
  ],
  "group": "I6",
  "scenario": "send_recv senders=1 receivers=1 cap=1 each=3",
  "title": "A receiver parks and does not set WAITERS",
  "mutant": "I6 parks without the bit",
  "traces": [
   [
    "i6-parks-without-the-bit",
    "failed",
    "broken: I6 parks without the bit"
   ],
   [
    "i6-parks-without-the-bit-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "I6",
   "send_recv senders=1 receivers=1 cap=1 each=3",
   "mutant I6 looks, then sets the bit",
   "The lost wake-up: a look, a send, and then the bit"
  ],
  "group": "I6",
  "scenario": "send_recv senders=1 receivers=1 cap=1 each=3",
  "title": "The lost wake-up: a look, a send, and then the bit",
  "mutant": "I6 looks, then sets the bit",
  "traces": [
   [
    "i6-looks-then-sets-the-bit",
    "failed",
    "broken: I6 looks, then sets the bit"
   ],
   [
    "i6-looks-then-sets-the-bit-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "I6",
   "close_races senders=1 receivers=1",
   "mutant I6 a receiver parks while the channel is being closed",
   "A receiver parks at a channel that is being closed"
  ],
  "group": "I6",
  "scenario": "close_races senders=1 receivers=1",
  "title": "A receiver parks at a channel that is being closed",
  "mutant": "I6 a receiver parks while the channel is being closed",
  "traces": [
   [
    "i6-a-receiver-parks-while-the-channel-is-being-closed",
    "failed",
    "broken: I6 a receiver parks while the channel is being closed"
   ],
   [
    "i6-a-receiver-parks-while-the-channel-is-being-closed-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "I7",
   "select_against_select senders=2 each=1",
   "mutant I7 the locks of a select are taken one at a time",
   "Two selects that could serve each other do not see each other"
  ],
  "group": "I7",
  "scenario": "select_against_select senders=2 each=1",
  "title": "Two selects that could serve each other do not see each other",
  "mutant": "I7 the locks of a select are taken one at a time",
  "traces": [
   [
    "i7-the-locks-of-a-select-are-taken-one-at-a-time",
    "failed",
    "broken: I7 the locks of a select are taken one at a time"
   ],
   [
    "i7-the-locks-of-a-select-are-taken-one-at-a-time-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "I8",
   "cancelled_first",
   "mutant I8 a rendezvous does not ask its context under the lock",
   "A cancel comes first, and the message wins"
  ],
  "group": "I8",
  "scenario": "cancelled_first",
  "title": "A cancel comes first, and the message wins",
  "mutant": "I8 a rendezvous does not ask its context under the lock",
  "traces": [
   [
    "i8-a-rendezvous-does-not-ask-its-context-under-the-lock",
    "failed",
    "broken: I8 a rendezvous does not ask its context under the lock"
   ],
   [
    "i8-a-rendezvous-does-not-ask-its-context-under-the-lock-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "I9",
   "a_loop_sees_every_message senders=1 cap=1 each=1",
   "mutant I9 a claim tells no pollable",
   "A loop polls, and no thread tells it"
  ],
  "group": "I9",
  "scenario": "a_loop_sees_every_message senders=1 cap=1 each=1",
  "title": "A loop polls, and no thread tells it",
  "mutant": "I9 a claim tells no pollable",
  "traces": [
   [
    "i9-a-claim-tells-no-pollable",
    "failed",
    "broken: I9 a claim tells no pollable"
   ],
   [
    "i9-a-claim-tells-no-pollable-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "I9",
   "a_loop_sees_every_message senders=1 cap=1 each=1",
   "mutant I9 a pollable is armed without the bit",
   "A pollable is armed, and WAITERS is not set"
  ],
  "group": "I9",
  "scenario": "a_loop_sees_every_message senders=1 cap=1 each=1",
  "title": "A pollable is armed, and WAITERS is not set",
  "mutant": "I9 a pollable is armed without the bit",
  "traces": [
   [
    "i9-a-pollable-is-armed-without-the-bit",
    "failed",
    "broken: I9 a pollable is armed without the bit"
   ],
   [
    "i9-a-pollable-is-armed-without-the-bit-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "S1",
   "semaphore_is_freed",
   "mutant S1 permits are published before the unlock",
   "A semaphore is freed by the thread that got the last permit"
  ],
  "group": "S1",
  "scenario": "semaphore_is_freed",
  "title": "A semaphore is freed by the thread that got the last permit",
  "mutant": "S1 permits are published before the unlock",
  "traces": [
   [
    "s1-permits-are-published-before-the-unlock",
    "failed",
    "broken: S1 permits are published before the unlock"
   ],
   [
    "s1-permits-are-published-before-the-unlock-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "S2",
   "release_for_many",
   "mutant S2 a woken thread does not set WAITERS again",
   "A woken thread does not set WAITERS again"
  ],
  "group": "S2",
  "scenario": "release_for_many",
  "title": "A woken thread does not set WAITERS again",
  "mutant": "S2 a woken thread does not set WAITERS again",
  "traces": [
   [
    "s2-a-woken-thread-does-not-set-waiters-again",
    "failed",
    "broken: S2 a woken thread does not set WAITERS again"
   ],
   [
    "s2-a-woken-thread-does-not-set-waiters-again-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "S3",
   "heavy_gets_its_turn",
   "mutant S3 a thread that comes takes what was to be handed over",
   "A thread overtakes the one whose turn it is"
  ],
  "group": "S3",
  "scenario": "heavy_gets_its_turn",
  "title": "A thread overtakes the one whose turn it is",
  "mutant": "S3 a thread that comes takes what was to be handed over",
  "traces": [
   [
    "s3-a-thread-that-comes-takes-what-was-to-be-handed-over",
    "failed",
    "broken: S3 a thread that comes takes what was to be handed over"
   ],
   [
    "s3-a-thread-that-comes-takes-what-was-to-be-handed-over-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "P1",
   "more_than_are_noted",
   "mutant P1 the walk is not resumed",
   "A publisher stops half-way through the list"
  ],
  "group": "P1",
  "scenario": "more_than_are_noted",
  "title": "A publisher stops half-way through the list",
  "mutant": "P1 the walk is not resumed",
  "traces": [
   [
    "p1-the-walk-is-not-resumed",
    "failed",
    "broken: P1 the walk is not resumed"
   ],
   [
    "p1-the-walk-is-not-resumed-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "P2",
   "latest_is_first",
   "mutant P2 a message becomes the latest after the list was walked",
   "A new subscriber misses a message"
  ],
  "group": "P2",
  "scenario": "latest_is_first",
  "title": "A new subscriber misses a message",
  "mutant": "P2 a message becomes the latest after the list was walked",
  "traces": [
   [
    "p2-a-message-becomes-the-latest-after-the-list-was-walked",
    "failed",
    "broken: P2 a message becomes the latest after the list was walked"
   ],
   [
    "p2-a-message-becomes-the-latest-after-the-list-was-walked-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "P3",
   "latest_is_whole",
   "mutant P3 a version is used again at once",
   "A reader reads what is written over"
  ],
  "group": "P3",
  "scenario": "latest_is_whole",
  "title": "A reader reads what is written over",
  "mutant": "P3 a version is used again at once",
  "traces": [
   [
    "p3-a-version-is-used-again-at-once",
    "failed",
    "broken: P3 a version is used again at once"
   ],
   [
    "p3-a-version-is-used-again-at-once-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "P5",
   "watcher_gets_the_last",
   "mutant P5 a watcher looks, then sets WATCHED: two steps instead of one",
   "A watcher sleeps beside a newer message"
  ],
  "group": "P5",
  "scenario": "watcher_gets_the_last",
  "title": "A watcher sleeps beside a newer message",
  "mutant": "P5 a watcher looks, then sets WATCHED: two steps instead of one",
  "traces": [
   [
    "p5-a-watcher-looks-then-sets-watched-two-steps-instead-of-on",
    "failed",
    "broken: P5 a watcher looks, then sets WATCHED: two steps instead of one"
   ],
   [
    "p5-a-watcher-looks-then-sets-watched-two-steps-instead-of-on-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "P6",
   "watchers_see_the_last_and_the_close",
   "mutant P6 a watcher takes what is not newer",
   "A watcher gets what it has seen"
  ],
  "group": "P6",
  "scenario": "watchers_see_the_last_and_the_close",
  "title": "A watcher gets what it has seen",
  "mutant": "P6 a watcher takes what is not newer",
  "traces": [
   [
    "p6-a-watcher-takes-what-is-not-newer",
    "failed",
    "broken: P6 a watcher takes what is not newer"
   ],
   [
    "p6-a-watcher-takes-what-is-not-newer-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "orders",
   "send_recv senders=1 receivers=1 cap=1 each=3",
   "mutant leat_move_by_ [P1] release -> relaxed",
   "A message is published relaxed"
  ],
  "group": "orders",
  "scenario": "send_recv senders=1 receivers=1 cap=1 each=3",
  "title": "A message is published relaxed",
  "mutant": "leat_move_by_ [P1] release -> relaxed",
  "traces": [
   [
    "orders-leat-move-by-p1-release-relaxed",
    "failed",
    "broken: leat_move_by_ [P1] release -> relaxed"
   ],
   [
    "orders-leat-move-by-p1-release-relaxed-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "orders",
   "send_recv senders=1 receivers=1 cap=1 each=3",
   "mutant leat_move_by_ [P2] acquire -> relaxed",
   "A stamp is read relaxed"
  ],
  "group": "orders",
  "scenario": "send_recv senders=1 receivers=1 cap=1 each=3",
  "title": "A stamp is read relaxed",
  "mutant": "leat_move_by_ [P2] acquire -> relaxed",
  "traces": [
   [
    "orders-leat-move-by-p2-acquire-relaxed",
    "failed",
    "broken: leat_move_by_ [P2] acquire -> relaxed"
   ],
   [
    "orders-leat-move-by-p2-acquire-relaxed-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "orders",
   "close_is_a_release",
   "mutant leat_close_quietly_ [E1] release -> relaxed",
   "A close is relaxed"
  ],
  "group": "orders",
  "scenario": "close_is_a_release",
  "title": "A close is relaxed",
  "mutant": "leat_close_quietly_ [E1] release -> relaxed",
  "traces": [
   [
    "orders-leat-close-quietly-e1-release-relaxed",
    "failed",
    "broken: leat_close_quietly_ [E1] release -> relaxed"
   ],
   [
    "orders-leat-close-quietly-e1-release-relaxed-right",
    "passed",
    "as it is, same seed"
   ]
  ]
 },
 {
  "key": [
   "as it is",
   "send_recv senders=1 receivers=1 cap=2 each=3",
   "nothing",
   "One sender, one receiver, a ring of two"
  ],
  "group": "as it is",
  "scenario": "send_recv senders=1 receivers=1 cap=2 each=3",
  "title": "One sender, one receiver, a ring of two",
  "traces": [
   [
    "as-it-is-one-sender-one-receiver-a-ring-of-two",
    "passed",
    "as it is"
   ]
  ]
 },
 {
  "key": [
   "as it is",
   "send_recv senders=1 receivers=1 each=3",
   "nothing",
   "A rendezvous"
  ],
  "group": "as it is",
  "scenario": "send_recv senders=1 receivers=1 each=3",
  "title": "A rendezvous",
  "traces": [
   [
    "as-it-is-a-rendezvous",
    "passed",
    "as it is"
   ]
  ]
 },
 {
  "key": [
   "as it is",
   "select_against_select senders=2 each=1",
   "nothing",
   "Two selects serve each other"
  ],
  "group": "as it is",
  "scenario": "select_against_select senders=2 each=1",
  "title": "Two selects serve each other",
  "traces": [
   [
    "as-it-is-two-selects-serve-each-other",
    "passed",
    "as it is"
   ]
  ]
 }
]);
