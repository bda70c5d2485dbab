package resp

import (
	"fmt"

	"picket/config"
	"picket/consensus"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// Speaker is another agent, as Sentinel's events name it.
type Speaker struct {
	MyID string
	Addr config.Addr // as clients are told
}

// SpeakerOf finds one in the state; false: it has never registered.
func SpeakerOf(s *state.State, cluster, agent string) (who Speaker, known bool) {
	a := s.Agent(agent)
	if a == nil {
		return Speaker{}, false
	}
	return Speaker{picture.MyID(cluster, agent), config.NewAddr(a.Host, a.SentinelPort)}, true
}

func (s Speaker) describe(o Owner) string {
	return fmt.Sprintf("sentinel %s %s %d @ %s %s %d", s.MyID, s.Addr.Host(), s.Addr.Port(), o.Name, o.Master.Host(), o.Master.Port())
}

// FromRegistered tells the watchers of masters that an agent has registered: a new one, or one that clients knew by another address. Of a move Sentinel tells
// with the first master, and how many others it concerns.
func FromRegistered(e state.Event, who Speaker, masters []Owner) []Message {
	var messages []Message
	switch {
	case len(masters) == 0 || e.Data.From == who.Addr: // something else is different
	case e.Data.From == "":
		for _, o := range masters {
			messages = append(messages, Message{"+sentinel", who.describe(o)})
		}
	default:
		o, others := masters[0], len(masters)-1
		messages = append(messages, Message{"+sentinel-address-switch", fmt.Sprintf("%s ip %s port %d for %s", describeMaster(o.Name, o.Master),
			who.Addr.Host(), who.Addr.Port(), who.MyID)})
		if others > 0 {
			messages = append(messages, Message{"+sentinel-address-update", fmt.Sprintf("%s %d additional matching instances", who.describe(o), others)})
		}
	}
	return messages
}

// FromDisplaced tells the watchers of masters that an agent can't be where it said, because another one has registered there.
func FromDisplaced(former Speaker, masters []Owner) []Message {
	if len(masters) == 0 {
		return nil
	}
	return []Message{{"+sentinel-invalid-addr", former.describe(masters[0])}}
}

// FromSilence tells the watchers of a master that an agent is not heard, or is heard again.
func FromSilence(who Speaker, o Owner, silent bool) []Message {
	channel := "-sdown"
	if silent {
		channel = "+sdown"
	}
	return []Message{{channel, who.describe(o)}}
}

// FromConsensus gives Sentinel's events for a new term and a vote.
func FromConsensus(e consensus.Event, myID func(consensus.ServerID) string) []Message {
	switch e.Kind {
	case consensus.EventTerm:
		return []Message{{"+new-epoch", fmt.Sprint(e.Term)}}
	case consensus.EventVoted:
		return []Message{{"+vote-for-leader", fmt.Sprintf("%s %d", myID(e.Peer), e.Term)}}
	}
	return nil
}

// Attempt tells that somebody stands for the leadership of a master's failover.
func Attempt(o Owner) []Message {
	return []Message{{"+try-failover", describeMaster(o.Name, o.Master)}}
}

// NotElected tells that an attempt is over: this agent stood, and did not get enough votes.
func NotElected(o Owner) []Message {
	return []Message{{"-failover-abort-not-elected", describeMaster(o.Name, o.Master)}}
}
