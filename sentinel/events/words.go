package events

import (
	"fmt"
	"strings"

	"picket/failover"
	"picket/sentinel/state"
)

// Summary tells an event in a line, for people.
func Summary(e state.Event) string {
	d := e.Data
	switch e.Type {
	case state.FailoverBegun:
		if failover.Cause(d.Cause) == failover.CauseManual {
			return fmt.Sprintf("%s is handed over from %s%s", e.Master, d.From, because(d.Evidence))
		}
		return fmt.Sprintf("%s is down at %s, and is failed over%s", e.Master, d.From, because(d.Evidence))
	case state.FailoverResumed:
		return fmt.Sprintf("another leader goes on with the failover of %s", e.Master)
	case state.FailoverPromoting:
		return fmt.Sprintf("%s: %s is promoted%s", e.Master, d.To, because(d.Why))
	case state.FailoverSwitched:
		return fmt.Sprintf("%s is at %s now, and was at %s", e.Master, d.To, d.From)
	case state.FailoverRepointed:
		return fmt.Sprintf("%s: %s follows %s", e.Master, d.Replica, d.To)
	case state.FailoverEnded:
		return fmt.Sprintf("the failover of %s has ended: it is at %s, and was at %s%s", e.Master, d.To, d.From, because(d.Why))
	case state.FailoverAborted:
		return fmt.Sprintf("the failover of %s was given up; it is at %s%s", e.Master, d.From, because(d.Why))
	case state.FailoverAcknowledged:
		return fmt.Sprintf("%s has acknowledged the failover of %s", somebody(d.Who), e.Master)
	case state.FailoverAllowed:
		return fmt.Sprintf("%s accepts that %s may lose writes", somebody(d.Who), e.Master)
	case state.FailoverVetoed:
		return fmt.Sprintf("a program on %s forbids the failover of %s%s", d.Agent, e.Master, because(d.Why))
	case state.FailoverDivergence:
		if d.Known {
			return fmt.Sprintf("%s: %d bytes of writes to %s are lost", e.Master, d.Bytes, d.From)
		}
		return fmt.Sprintf("%s: writes to %s may be lost%s", e.Master, d.From, because(d.Why))
	case state.SwitchoverScheduled:
		return fmt.Sprintf("a switchover of %s is ordered for %s by %s", e.Master, d.Until, somebody(d.Who))
	case state.SwitchoverCancelled:
		return fmt.Sprintf("the switchover of %s that was due at %s is cancelled%s", e.Master, d.Until, because(d.Why))
	case state.PauseBegun:
		return fmt.Sprintf("%s has paused %s until %s%s", somebody(d.Who), all(e.Master), d.Until, because(d.Why))
	case state.PauseEnded:
		return fmt.Sprintf("the pause of %s is over", all(e.Master))
	case state.MasterAdded:
		return fmt.Sprintf("%s is watched, at %s", e.Master, d.To)
	case state.MasterRemoved:
		return fmt.Sprintf("%s is watched no more", e.Master)
	case state.MasterChanged:
		var set []string
		for _, o := range d.Changes {
			set = append(set, o.Name+" "+o.Value)
		}
		return fmt.Sprintf("%s has other options: %s", e.Master, strings.Join(set, ", "))
	case state.MasterReset:
		return fmt.Sprintf("%s was reset", e.Master)
	case state.ReplicaAdded:
		return fmt.Sprintf("%s: the replica %s is known", e.Master, d.Replica)
	case state.ReplicaForgotten:
		return fmt.Sprintf("%s: the replica %s is forgotten", e.Master, d.Replica)
	case state.ReplicaMoved:
		return fmt.Sprintf("%s: the replica %s is at %s now", e.Master, d.From, d.Replica)
	case state.AgentRegistered:
		return fmt.Sprintf("the agent %s is known", d.Agent)
	case state.AgentRemoved:
		return fmt.Sprintf("the agent %s is removed", d.Agent)
	case state.ShadowDecision:
		return fmt.Sprintf("%s would have been failed over from %s to %s", e.Master, d.From, d.To)
	case state.ShadowComparison:
		return fmt.Sprintf("%s: %s", e.Master, d.Why)
	case state.WebhookDead:
		return fmt.Sprintf("event %d (%s) could not be delivered to the webhook %s%s", d.Event, d.EventType, d.Endpoint, because(d.Why))
	case state.WebhookDisabled:
		return fmt.Sprintf("the receiver of the webhook %s wants nothing more", d.Endpoint)
	case state.WebhookEnabled:
		return fmt.Sprintf("the webhook %s is enabled again", d.Endpoint)
	case state.WebhookDropped:
		return fmt.Sprintf("%s has dropped %d dead letters of the webhook %s", somebody(d.Who), d.Letters, d.Endpoint)
	case state.WebhookRemoved:
		return fmt.Sprintf("the webhook %s is removed", d.Endpoint)
	case state.WebhookGap:
		return fmt.Sprintf("up to %d events were forgotten before this webhook could be told of them", d.Missed)
	case state.WebhookTest:
		return "this is a test; nothing has happened"
	}
	return string(e.Type)
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

func somebody(who string) string {
	if who == "" {
		return "somebody"
	}
	return who
}

func all(master string) string {
	if master == "" {
		return "all masters"
	}
	return master
}
