package state

import (
	"strings"

	"picket/config"
	"picket/monitor"
)

// EventType names a committed event. Types never change meaning.
type EventType string

const (
	MasterAdded       EventType = "master.added"
	MasterRemoved     EventType = "master.removed"
	MasterChanged     EventType = "master.changed" // its options were
	MasterReset       EventType = "master.reset"
	ReplicaAdded      EventType = "replica.added"
	ReplicaForgotten  EventType = "replica.forgotten"
	ReplicaMoved      EventType = "replica.moved" // it is known by another address than before
	AgentRegistered   EventType = "agent.registered"
	AgentRemoved      EventType = "agent.removed"
	FailoverBegun     EventType = "failover.begun"
	FailoverResumed   EventType = "failover.resumed"
	FailoverPromoting EventType = "failover.promoting"
	FailoverSwitched  EventType = "failover.switched"
	FailoverRepointed EventType = "failover.repointed"
	// FailoverVetoed: a program of an operator's forbids it. It is asked again, and told again when it says something else.
	FailoverVetoed  EventType = "failover.vetoed"
	FailoverEnded   EventType = "failover.ended"
	FailoverAborted EventType = "failover.aborted"
	// FailoverAcknowledged: an operator has lifted the cool-down that follows it.
	FailoverAcknowledged EventType = "failover.acknowledged"
	// FailoverAllowed: an operator accepts that writes may be lost, and it goes on without replicas that it waited for.
	FailoverAllowed     EventType = "failover.allowed"
	FailoverDivergence  EventType = "failover.divergence" // a former master had writes that are lost
	SwitchoverScheduled EventType = "switchover.scheduled"
	SwitchoverCancelled EventType = "switchover.cancelled" // by an operator, or because it was refused when it was due
	PauseBegun          EventType = "pause.begun"          // also one that is prolonged
	PauseEnded          EventType = "pause.ended"
	ShadowDecision      EventType = "shadow.decided"   // agents that only watch would have begun a failover
	ShadowComparison    EventType = "shadow.compared"  // what the other coordinator did instead; it is followed
	WebhookDead         EventType = "webhook.dead"     // an event could not be delivered, and is a dead letter
	WebhookDisabled     EventType = "webhook.disabled" // the receiver has said that it wants nothing more
	WebhookEnabled      EventType = "webhook.enabled"
	WebhookDropped      EventType = "webhook.dropped" // an operator has dropped dead letters
	WebhookRemoved      EventType = "webhook.removed" // no configuration names it any more
	// These are never committed. They are told to one webhook: what was forgotten before it could be told, and whether it works.
	WebhookGap  EventType = "webhook.gap"
	WebhookTest EventType = "webhook.test"
)

// aboutWebhooks says whether the event is about the delivery of others.
func (t EventType) aboutWebhooks() bool { return strings.HasPrefix(string(t), "webhook.") }

// Event is one committed thing that the outside is told. A log entry makes at most one, so its index
// is a stable id and the order.
type Event struct {
	ID     uint64         `json:"id"` // log index
	Type   EventType      `json:"type"`
	Master string         `json:"master,omitempty"` // empty for agents' events, and for a pause of all masters
	Epoch  uint64         `json:"epoch"`            // term of the entry
	At     monitor.Moment `json:"at"`               // the proposer's clock
	Data   EventData      `json:"data"`
}

// EventData holds what the types add; unused fields are left out of the JSON.
type EventData struct {
	Failover uint64        `json:"failover,omitempty"` // id of the failover: all its events share it
	Cause    string        `json:"cause,omitempty"`
	Evidence string        `json:"evidence,omitempty"`
	From     config.Addr   `json:"from,omitempty"`    // old master; of an agent that had registered before, or a replica that has moved: where it was
	To       config.Addr   `json:"to,omitempty"`      // new master, or target
	Replica  config.Addr   `json:"replica,omitempty"` // the one that was added or re-pointed
	Replicas []config.Addr `json:"replicas,omitempty" codec:",omitempty"`
	Quorum   int           `json:"quorum,omitempty"` // of a master that was added
	Agent    string        `json:"agent,omitempty"`  // that registered or was removed; of failover.switched: that led
	Host     string        `json:"host,omitempty"`   // of the agent, as clients are told
	Port     int           `json:"port,omitempty"`   // of its Sentinel port
	Offset   int64         `json:"offset,omitempty"`
	Why      string        `json:"why,omitempty"`
	// Milliseconds since the master was first found down (failover.switched, failover.ended); 0 for manual ones.
	ElapsedMS int64  `json:"elapsed_ms,omitempty"`
	Who       string `json:"who,omitempty"`   // of an operator; empty in pause.ended: its time was over
	Until     string `json:"until,omitempty"` // of a pause, RFC 3339; of a switchover: when it is due
	// Of shadow.compared: who would have been promoted, and by how many milliseconds that was decided before the other coordinator's
	// deed was seen; negative: after.
	Imagined config.Addr `json:"imagined,omitempty"`
	AheadMS  int64       `json:"ahead_ms,omitempty"`
	Known    bool        `json:"known,omitempty"` // of a divergence: bytes is exact
	Bytes    int64       `json:"bytes,omitempty"` // lost
	Kept     string      `json:"kept,omitempty"`  // the file that holds what is lost, on an agent
	Unkept   string      `json:"unkept,omitempty"`
	Reason   string      `json:"reason,omitempty"`                     // of failover.ended and failover.aborted, in one word
	Changes  []Option    `json:"changes,omitempty" codec:",omitempty"` // of a master's options; an empty value: it was taken back
	// Of events about webhooks.
	Endpoint  string    `json:"endpoint,omitempty"`   // the webhook's name
	Event     uint64    `json:"event,omitempty"`      // index of the event that was given up
	EventType EventType `json:"event_type,omitempty"` // of that event
	Dropped   uint64    `json:"dropped,omitempty"`    // index of the dead letter that was lost, because there were too many
	Letters   int       `json:"letters,omitempty"`    // dead letters that were dropped
	After     uint64    `json:"after,omitempty"`      // index before a gap
	UpTo      uint64    `json:"up_to,omitempty"`      // index at its end
	Missed    uint64    `json:"missed,omitempty"`     // at most so many events are in it
}
