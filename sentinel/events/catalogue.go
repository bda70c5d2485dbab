package events

import (
	"slices"
	"time"

	"picket/config"
	"picket/monitor"
	"picket/sentinel/state"
)

// Kind is a type of event.
type Kind struct {
	Type     state.EventType
	Text     string          // when it happens
	Master   bool            // it concerns one master, its subject; else none, or all
	Always   []string        // fields that its data has
	Perhaps  []string        // those that it may have
	Example  state.EventData // of one
	Uncommon bool            // it is not in the log: one webhook alone is told
}

// field is one of the data's.
type field struct {
	kind string // of JSON schema, or one of the below
	text string
}

const (
	text      = "string"
	number    = "integer"
	truth     = "boolean"
	address   = "address"
	addresses = "addresses"
	moment    = "moment"
	options   = "options"
)

// fields are all that data may have. They mean the same in each type.
var fields = map[string]field{
	"failover":   {number, "id of the failover: all its events share it"},
	"cause":      {text, "`master-down`, or `manual`: somebody, or the configuration, has asked for it"},
	"evidence":   {text, "what was seen, and by whom"},
	"from":       {address, "the master until then; of a replica that has moved or an agent that is known: where it was"},
	"to":         {address, "the new master, the one that is chosen, or the present one"},
	"replica":    {address, "the replica that it is about"},
	"replicas":   {addresses, "the replicas that are known, or that were forgotten"},
	"quorum":     {number, "agents that must find the master down"},
	"agent":      {text, "id of the agent that it is about, or that led"},
	"host":       {text, "of the agent, as clients are told"},
	"port":       {number, "of the agent's Sentinel port"},
	"offset":     {number, "how far the chosen replica had read the replication stream"},
	"why":        {text, "the reason, in words"},
	"reason":     {text, "what kept it from being done in full, in one word"},
	"elapsed_ms": {number, "milliseconds since the master was found down"},
	"who":        {text, "the operator; absent where it happened by itself"},
	"until":      {moment, "when a pause ends, or a switchover is due"},
	"imagined":   {address, "who would have been promoted"},
	"ahead_ms":   {number, "milliseconds from the own decision to the other coordinator's deed; negative: the deed came first"},
	"known":      {truth, "bytes is exact"},
	"bytes":      {number, "of the replication stream that are lost"},
	"kept":       {text, "file on an agent's host that holds what is lost"},
	"unkept":     {text, "why what is lost is not kept"},
	"changes":    {options, "what was set; an empty value takes it back"},
	"endpoint":   {text, "the webhook's name"},
	"event":      {number, "index of the event that was given up"},
	"event_type": {text, "its type"},
	"dropped":    {number, "index of the event whose dead letter was lost, because there were too many"},
	"letters":    {number, "how many dead letters are lost"},
	"after":      {number, "index before what is missing"},
	"up_to":      {number, "index of the last event that is missing"},
	"missed":     {number, "at most so many events are missing"},
}

// Addresses and names of the examples.
const (
	first  = config.Addr("10.0.0.1:6379")
	second = config.Addr("10.0.0.2:6379")
	third  = config.Addr("10.0.0.3:6379")
	begun  = 4711
)

// Catalogue are all types, in the order of the document.
var Catalogue = []Kind{
	{
		Type: state.FailoverBegun, Master: true, Text: "A leader was elected for a failover, or a switchover, and begins it.",
		Always: []string{"failover", "cause", "from"}, Perhaps: []string{"evidence", "replicas"},
		Example: state.EventData{
			Failover: begun, Cause: "master-down", From: first, Evidence: "3 of 3 agents: connection refused", Replicas: []config.Addr{second, third},
		},
	},
	{
		Type: state.FailoverResumed, Master: true, Text: "Another leader has taken it over.",
		Always: []string{"failover", "cause", "from"}, Perhaps: []string{"to"},
		Example: state.EventData{Failover: begun, Cause: "master-down", From: first},
	},
	{
		Type: state.FailoverPromoting, Master: true, Text: "A replica is chosen, and promoted.",
		Always: []string{"failover", "cause", "from", "to"}, Perhaps: []string{"offset", "why"},
		Example: state.EventData{
			Failover: begun, Cause: "master-down", From: first, To: second, Offset: 1_048_576, Why: "it holds the most",
		},
	},
	{
		Type: state.FailoverSwitched, Master: true, Text: "It is the master, and clients are told.",
		Always: []string{"failover", "cause", "from", "to"}, Perhaps: []string{"replicas", "elapsed_ms", "agent"},
		Example: state.EventData{
			Failover: begun, Cause: "master-down", From: first, To: second, Replicas: []config.Addr{first, third}, ElapsedMS: 41, Agent: "agent-3",
		},
	},
	{
		Type: state.FailoverRepointed, Master: true, Text: "A replica follows the new master.",
		Always:  []string{"failover", "cause", "from", "to", "replica"},
		Example: state.EventData{Failover: begun, Cause: "master-down", From: first, To: second, Replica: third},
	},
	{
		Type: state.FailoverEnded, Master: true, Text: "It is done: clients have the new master.",
		Always: []string{"failover", "cause", "from", "to"}, Perhaps: []string{"why", "reason", "elapsed_ms"},
		Example: state.EventData{Failover: begun, Cause: "master-down", From: first, To: second, ElapsedMS: 352},
	},
	{
		Type: state.FailoverAborted, Master: true, Text: "It was given up: the master is the one that it was. With a `reason` something blocks it, and somebody should look.",
		Always: []string{"failover", "cause", "from"}, Perhaps: []string{"to", "why", "reason", "elapsed_ms"},
		Example: state.EventData{Failover: begun, Cause: "master-down", From: first, Why: "the old master answers again", ElapsedMS: 820},
	},
	{
		Type: state.FailoverAcknowledged, Master: true, Text: "An operator has lifted the cool-down that follows it.",
		Always: []string{"failover", "cause", "from", "who"}, Perhaps: []string{"to"},
		Example: state.EventData{Failover: begun, Cause: "master-down", From: first, To: second, Who: "alice"},
	},
	{
		Type: state.FailoverAllowed, Master: true, Text: "An operator accepts that writes may be lost, and it goes on without replicas that it waited for.",
		Always: []string{"failover", "from"}, Perhaps: []string{"who"},
		Example: state.EventData{Failover: begun, From: first, Who: "alice"},
	},
	{
		Type: state.FailoverVetoed, Master: true,
		Text:   "A program of an operator's forbids a failover (see hooks.md). It is asked again, and that is told again when it says something else.",
		Always: []string{"cause", "from", "agent", "why"},
		Example: state.EventData{
			Cause: "master-down", From: first, Agent: "agent-3", Why: "it ended with code 3: the backup runs",
		},
	},
	{
		Type: state.FailoverDivergence, Master: true, Text: "A former master had writes that the present one has not.",
		Always: []string{"from", "to"}, Perhaps: []string{"known", "bytes", "why", "kept", "unkept"},
		Example: state.EventData{From: first, To: second, Known: true, Bytes: 1337, Kept: "agent-1:/var/lib/picket/salvage/mymaster/7.aof"},
	},
	{
		Type: state.SwitchoverScheduled, Master: true, Text: "A switchover is ordered for later.",
		Always: []string{"from", "until"}, Perhaps: []string{"to", "who"},
		Example: state.EventData{From: first, To: second, Until: "2026-01-02T03:00:00Z", Who: "alice"},
	},
	{
		Type: state.SwitchoverCancelled, Master: true, Text: "It was taken back by an operator, or refused when it was due.",
		Always: []string{"from", "until"}, Perhaps: []string{"to", "who", "why"},
		Example: state.EventData{From: first, To: second, Until: "2026-01-02T03:00:00Z", Who: "alice"},
	},
	{
		Type: state.PauseBegun, Text: "An operator has had nothing begin by itself, for one master, the subject, or for all; also when that is prolonged.",
		Always: []string{"until", "who"}, Perhaps: []string{"why"},
		Example: state.EventData{Until: "2026-01-02T03:00:00Z", Who: "alice", Why: "the hosts are moved"},
	},
	{
		Type: state.PauseEnded, Text: "That is over, by itself or by an operator.",
		Always: []string{"until"}, Perhaps: []string{"who", "why"},
		Example: state.EventData{Until: "2026-01-02T03:00:00Z", Why: "the hosts are moved"},
	},
	{
		Type: state.MasterAdded, Master: true, Text: "A master became known.",
		Always: []string{"to"}, Perhaps: []string{"quorum"}, Example: state.EventData{To: first, Quorum: 2},
	},
	{
		Type: state.MasterRemoved, Master: true, Text: "A master is watched no more.",
		Always: []string{"from"}, Example: state.EventData{From: first},
	},
	{
		Type: state.MasterChanged, Master: true, Text: "Options of a master were set at run time.",
		Always: []string{"to"}, Perhaps: []string{"changes"},
		Example: state.EventData{To: first, Changes: []state.Option{{Name: "down-after-milliseconds", Value: "2000"}}},
	},
	{
		Type: state.MasterReset, Master: true, Text: "SENTINEL RESET: replicas that are gone are forgotten, and the cool-down is lifted.",
		Always: []string{"from"}, Perhaps: []string{"replicas"}, Example: state.EventData{From: first, Replicas: []config.Addr{third}},
	},
	{
		Type: state.ReplicaAdded, Master: true, Text: "A replica became known.",
		Always: []string{"from", "replica"}, Example: state.EventData{From: first, Replica: second},
	},
	{
		Type: state.ReplicaForgotten, Master: true, Text: "A replica is watched no more.",
		Always: []string{"from", "replica"}, Example: state.EventData{From: first, Replica: second},
	},
	{
		Type: state.ReplicaMoved, Master: true, Text: "A replica is known by another address than before.",
		Always: []string{"from", "replica"}, Example: state.EventData{From: "10.0.0.3:6379", Replica: "10.0.0.4:6379"},
	},
	{
		Type: state.AgentRegistered, Text: "An agent became known, or can be reached elsewhere.",
		Always: []string{"agent"}, Perhaps: []string{"host", "port", "from"}, Example: state.EventData{Agent: "agent-2", Host: "10.0.0.2", Port: 26379},
	},
	{
		Type: state.AgentRemoved, Text: "An agent is a member no more.",
		Always: []string{"agent"}, Perhaps: []string{"host", "port"}, Example: state.EventData{Agent: "agent-2", Host: "10.0.0.2", Port: 26379},
	},
	{
		Type: state.ShadowDecision, Master: true, Text: "Agents that only watch would have begun a failover.",
		Always: []string{"from"}, Perhaps: []string{"to", "why", "evidence", "elapsed_ms"},
		Example: state.EventData{From: first, To: second, Why: "it holds the most", Evidence: "2 of 3 agents: connection refused", ElapsedMS: 33},
	},
	{
		Type: state.ShadowComparison, Master: true, Text: "What the other coordinator did instead, which is followed.",
		Always: []string{"from", "to"}, Perhaps: []string{"imagined", "why", "ahead_ms"},
		Example: state.EventData{From: first, To: second, Imagined: second, AheadMS: 2210, Why: "both chose 10.0.0.2:6379; Picket decided 2.21s earlier"},
	},
	{
		Type: state.WebhookDead, Text: "An event could not be delivered to a webhook, and is a dead letter. That webhook is not told.",
		Always: []string{"endpoint", "event", "event_type"}, Perhaps: []string{"why", "dropped"},
		Example: state.EventData{Endpoint: "ops", Event: begun, EventType: state.FailoverBegun, Why: "post to https://ops.example.com: the answer is 400 Bad Request"},
	},
	{
		Type: state.WebhookDisabled, Text: "A webhook's receiver wants nothing more (410). That webhook is not told.",
		Always: []string{"endpoint"}, Example: state.EventData{Endpoint: "ops"},
	},
	{
		Type: state.WebhookEnabled, Text: "It is told again.",
		Always: []string{"endpoint"}, Perhaps: []string{"who"}, Example: state.EventData{Endpoint: "ops", Who: "alice"},
	},
	{
		Type: state.WebhookDropped, Text: "An operator has dropped dead letters.",
		Always: []string{"endpoint", "letters"}, Perhaps: []string{"who"}, Example: state.EventData{Endpoint: "ops", Letters: 3, Who: "alice"},
	},
	{
		Type: state.WebhookRemoved, Text: "No configuration names a webhook any more: what was kept for it is dropped.",
		Always: []string{"endpoint"}, Perhaps: []string{"letters"}, Example: state.EventData{Endpoint: "ops", Letters: 3},
	},
	{
		Type: state.WebhookGap, Uncommon: true, Text: "Events were forgotten before this webhook could be told of them. `picket status` shows what holds now.",
		Always: []string{"endpoint", "after", "up_to", "missed"}, Example: state.EventData{Endpoint: "ops", After: 1200, UpTo: 1300, Missed: 100},
	},
	{
		Type: state.WebhookTest, Uncommon: true, Text: "`picket webhooks test` asks whether this webhook works. Nothing has happened.",
		Always: []string{"endpoint"}, Perhaps: []string{"who"}, Example: state.EventData{Endpoint: "ops", Who: "alice"},
	},
}

// Find finds a type; nil if it is not in the catalogue.
func Find(t state.EventType) *Kind {
	if i := slices.IndexFunc(Catalogue, func(k Kind) bool { return k.Type == t }); i >= 0 {
		return &Catalogue[i]
	}
	return nil
}

// Sample is the example as an event.
func (k *Kind) Sample() state.Event {
	e := state.Event{ID: begun, Type: k.Type, Epoch: 7, At: monitor.MomentOf(time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)), Data: k.Example}
	if k.Type != state.FailoverBegun {
		e.ID += 1 + uint64(slices.IndexFunc(Catalogue, func(other Kind) bool { return other.Type == k.Type }))
	}
	if k.Master {
		e.Master = "mymaster"
	}
	if k.Type == state.WebhookGap {
		e.ID = k.Example.UpTo
	}
	return e
}
