// Package webhook delivers committed events to HTTP receivers: each event at least once, in order, with an id that stays the
// same over retries and over changes of the leader. The body is a CloudEvents 1.0 event in JSON; the headers and the signature are
// those of the Standard Webhooks specification.
//
// The leading agent runs a Dispatcher. How far each receiver has been told is part of the replicated state, so the next leader
// goes on from there. Delivery never holds anything else up.
package webhook
