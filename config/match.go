package config

import (
	"slices"
	"strings"
)

// eventTypes are the types of the events that webhooks may ask for.
var eventTypes = []string{
	"master.added", "master.removed", "master.changed", "master.reset", "replica.added", "replica.forgotten", "replica.moved", "agent.registered",
	"failover.begun", "failover.resumed", "failover.promoting", "failover.switched", "failover.repointed", "failover.ended",
	"failover.aborted", "failover.acknowledged", "failover.allowed", "failover.vetoed", "failover.divergence", "switchover.scheduled", "switchover.cancelled", "pause.begun", "pause.ended",
	"shadow.decided", "shadow.compared", "agent.removed", "webhook.dead", "webhook.disabled", "webhook.enabled", "webhook.dropped", "webhook.removed",
}

// EventTypes are the types of the events that webhooks may ask for.
func EventTypes() []string { return slices.Clone(eventTypes) }

// Wants says whether events of a type that concern a master go to the webhook. Events of agents concern no
// master, a pause of no master in particular concerns all.
func (w Webhook) Wants(eventType, master string) bool {
	if shown := presetEvents[w.Preset]; shown != nil && !slices.Contains(shown, eventType) {
		return false
	}
	return (len(w.Masters) == 0 || slices.Contains(w.Masters, master) || master == "" && match("pause.*", eventType)) &&
		(len(w.Events) == 0 || slices.ContainsFunc(w.Events, func(pattern string) bool { return match(pattern, eventType) }))
}

// KnownEvent says whether a pattern matches the type of any event.
func KnownEvent(pattern string) bool {
	return slices.ContainsFunc(eventTypes, func(t string) bool { return match(pattern, t) })
}

// match says whether a type is the one of the pattern, or begins with what stands before the pattern's final
// star.
func match(pattern, eventType string) bool {
	prefix, open := strings.CutSuffix(pattern, "*")
	return pattern == eventType || open && strings.HasPrefix(eventType, prefix)
}
