leatTraces([
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
 }
]);
