package resp

import (
	"fmt"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/script"
	"picket/sentinel/state"
)

// Owner says to which master a server belongs.
type Owner struct {
	Name     string      // of the master; empty: to none
	Master   config.Addr // of the master, now
	IsMaster bool        // the server is the master
}

// describe names a server as Sentinel's events do.
func (o Owner) describe(server config.Addr) string {
	if o.IsMaster {
		return describeMaster(o.Name, server)
	}
	return describeReplica(server, o.Name, o.Master)
}

func describeMaster(name string, addr config.Addr) string {
	return fmt.Sprintf("master %s %s %d", name, addr.Host(), addr.Port())
}

func describeReplica(replica config.Addr, name string, master config.Addr) string {
	return fmt.Sprintf("slave %s %s %d @ %s %s %d", replica, replica.Host(), replica.Port(), name, master.Host(), master.Port())
}

// Update is what a switch of the master means to this agent.
type Update struct {
	From *Speaker      // who led it; nil: this agent, or one that is not known
	Down []config.Addr // replicas of the new master that are known here to be down
}

// FromCommitted gives Sentinel's events for a committed one. That an agent registered needs more, see FromRegistered; and so does
// the begin of a failover, see Attempt.
func FromCommitted(e state.Event, u Update) []Message {
	d := e.Data
	old, now := describeMaster(e.Master, d.From), describeMaster(e.Master, d.To)
	target := describeReplica(d.To, e.Master, d.From)
	switch e.Type {
	case state.MasterAdded:
		return []Message{{"+monitor", fmt.Sprintf("%s quorum %d", now, d.Quorum)}}
	case state.MasterRemoved:
		return []Message{{"-monitor", old}}
	case state.MasterReset:
		return []Message{{"+reset-master", old}}
	case state.MasterChanged:
		var messages []Message
		for _, o := range d.Changes {
			messages = append(messages, FromSet(Owner{e.Master, d.To, true}, o.Name, o.Value))
		}
		return messages
	case state.ReplicaAdded:
		return []Message{{"+slave", describeReplica(d.Replica, e.Master, d.From)}}
	case state.FailoverBegun:
		return []Message{{"+elected-leader", old}, {"+failover-state-select-slave", old}}
	case state.FailoverResumed:
		return []Message{{"+elected-leader", old}}
	case state.FailoverPromoting:
		return []Message{
			{"+selected-slave", target}, {"+failover-state-send-slaveof-noone", target}, {"+failover-state-wait-promotion", target},
		}
	case state.FailoverSwitched:
		return switched(e, u)
	case state.ShadowComparison:
		if d.From != d.To {
			return []Message{switchMaster(e)}
		}
	case state.FailoverRepointed:
		return []Message{{"+slave-reconf-done", describeReplica(d.Replica, e.Master, d.To)}}
	case state.FailoverEnded:
		if d.Reason == failover.ReasonTimeout {
			return []Message{{"+failover-end-for-timeout", now}, {"+failover-end", now}}
		}
		return []Message{{"+failover-end", now}}
	case state.FailoverAborted:
		if d.To == "" {
			return []Message{{"-failover-abort-no-good-slave", old}}
		}
		return []Message{{"-failover-abort-slave-timeout", old}}
	}
	return nil
}

// FromSet tells that an option of a master was set.
func FromSet(o Owner, option, value string) Message {
	return Message{"+set", fmt.Sprintf("%s %s %s", describeMaster(o.Name, o.Master), option, value)}
}

// switched tells of a new master as soon as that is decided. Sentinel's leader does so only when the replicas
// follow it.
func switched(e state.Event, u Update) []Message {
	from, to := e.Data.From, e.Data.To
	messages := []Message{
		{"+promoted-slave", describeReplica(to, e.Master, from)},
		{"+failover-state-reconf-slaves", describeMaster(e.Master, from)},
	}
	if u.From != nil {
		messages = append(messages, Message{"+config-update-from", u.From.describe(Owner{Name: e.Master, Master: from})})
	}
	messages = append(messages, switchMaster(e))
	for _, r := range e.Data.Replicas {
		messages = append(messages, Message{"+slave", describeReplica(r, e.Master, to)})
	}
	for _, r := range u.Down {
		messages = append(messages, Message{"+sdown", describeReplica(r, e.Master, to)})
	}
	return messages
}

// switchMaster is what clients wait for.
func switchMaster(e state.Event) Message {
	from, to := e.Data.From, e.Data.To
	return Message{"+switch-master", fmt.Sprintf("%s %s %d %s %d", e.Master, from.Host(), from.Port(), to.Host(), to.Port())}
}

// FromMonitor gives Sentinel's events for what this agent saw.
func FromMonitor(e monitor.Event, o Owner) []Message {
	switch e.Kind {
	case monitor.StallBegun:
		return []Message{{"+tilt", "#tilt mode entered"}}
	case monitor.StallEnded:
		return []Message{{"-tilt", "#tilt mode exited"}}
	}
	if o.Name == "" {
		return nil
	}
	server := o.describe(e.Server.Addr)
	switch e.Kind {
	case monitor.ServerDown:
		return []Message{{"+sdown", server}}
	case monitor.ServerUp:
		return []Message{{"-sdown", server}}
	case monitor.ServerReboot:
		return []Message{{"+reboot", server}}
	case monitor.RoleChanged:
		return roleChanged(e, o)
	}
	return nil
}

// roleChanged says plus where the role is the one that the server should have.
func roleChanged(e monitor.Event, o Owner) []Message {
	if e.Server.Last == nil {
		return nil
	}
	role, channel := e.Server.Last.Role, "-role-change"
	if o.IsMaster == (role == "master") {
		channel = "+role-change"
	}
	return []Message{{channel, o.describe(e.Server.Addr) + " new reported role is " + role}}
}

// FromVerdict tells when a master becomes objectively down, or is so no more.
func FromVerdict(o Owner, was, is monitor.Verdict) []Message {
	master := describeMaster(o.Name, o.Master)
	switch {
	case is.ObjectivelyDown && !was.ObjectivelyDown:
		return []Message{{"+odown", fmt.Sprintf("%s #quorum %d/%d", master, len(is.Down), is.Quorum)}}
	case was.ObjectivelyDown && !is.ObjectivelyDown:
		return []Message{{"-odown", master}}
	}
	return nil
}

// steps are the events of a runner's progress.
var steps = map[failover.ProgressKind]string{
	failover.RepointSent:      "+slave-reconf-sent",
	failover.RepointSyncing:   "+slave-reconf-inprog",
	failover.ConvertedToSlave: "+convert-to-slave",
	failover.Reattached:       "+fix-slave-config",
}

// FromProgress gives Sentinel's event for what the leader did to a replica.
func FromProgress(p failover.Progress, o Owner) []Message {
	channel, told := steps[p.Kind]
	if !told {
		return nil
	}
	return []Message{{channel, describeReplica(p.Server, o.Name, o.Master)}}
}

// FromScript gives Sentinel's event for a program that failed.
func FromScript(r script.Report) []Message {
	switch r.Kind {
	case script.Failed:
		return []Message{{"-script-error", fmt.Sprintf("%s %d %d", r.Path, r.Exit.Signal, r.Exit.Code)}}
	case script.TimedOut:
		return []Message{{"-script-timeout", fmt.Sprintf("%s %d", r.Path, r.PID)}}
	}
	return nil
}
