// Package webhook delivers committed events to HTTP receivers: each event at least once, in order, with an id
// that stays the same over retries and over changes of the leader. The body is a CloudEvents 1.0 event in
// JSON, or what a preset or a template makes of it; the headers and the signature are those of the Standard
// Webhooks specification. The extension attribute "sequence" is the event's index in the log, in decimal: its
// order as a number is the order of events.
//
// The leading agent runs a Dispatcher. How far each receiver has been told is part of the replicated state,
// so the next leader goes on from there. A receiver that is new there hears what happens from then on, not
// what happened before.
//
// An event that is not taken is tried again for hours, and holds up what comes behind it in its lane, which is
// its master's unless the configuration says otherwise; then it becomes a dead letter. A receiver that answers
// 410 (Gone) gets nothing more, from any agent, until somebody enables it. Delivery never holds up anything
// else, not even another receiver. What is left to the caller: the history must keep what receivers have not
// been told, as long as there is room; of what it does not keep they are told that it is missing.
package webhook
