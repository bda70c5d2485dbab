package picture

import (
	"encoding/json"
	"reflect"
	"regexp"
	"testing"
	"time"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/state"
)

// whole has something in every field that JSON shows.
func whole() Picture {
	at := time.Unix(1000, 5e6).UTC()
	record := &failover.Record{
		ID: 1, Master: "m", Epoch: 2, Phase: failover.Ended, Outcome: failover.Done, Cause: failover.CauseDown, Old: "h:1", Replicas: []config.Addr{"h:2"},
		Evidence: "e", Target: "h:2", RunID: "r", ReplID: "i", Offset: 7, Why: "w", Repointed: []config.Addr{"h:3"}, Leaders: []uint64{2},
		DownAt: monitor.MomentOf(at), BegunAt: monitor.MomentOf(at) + 1, PromoteAt: monitor.MomentOf(at) + 2, SwitchAt: monitor.MomentOf(at) + 3, EndAt: monitor.MomentOf(at) + 4,
		OldRunID: "o", OldReplID: "p", AllowLoss: true, Want: "h:2", OldOffset: 9, Candidates: []failover.Candidate{{Server: "h:2", Offset: 7, Unfit: "u", ReadAt: 8}},
		Chosen: "c", Reason: "x", HandOver: true, Native: true, Agents: []string{"a"}, Code: monitor.DeadMaster, Rule: monitor.QuorumRefused,
		Seen: []failover.Witness{{Agent: "a", State: "down", Evidence: "refused", Since: 6}}, RepointAt: []monitor.Moment{4}, HeldAt: 3,
	}
	observation := &monitor.Observation{
		Server: "h:1", At: at, Uptime: time.Hour, LinkDown: time.Second, LastIO: -time.Millisecond, Role: "slave", Master: "h:2",
		Replicas: []monitor.Attached{{Server: "h:3", State: "online", Offset: 3, Lag: 2 * time.Second}},
	}
	return Picture{
		At: at, Events: []state.Event{{ID: 3, Type: state.FailoverBegun, Master: "m", Epoch: 2, At: monitor.MomentOf(at), Data: state.EventData{Who: "ann"}}},
		Agents: []Agent{{ID: "a", Heard: 40 * time.Millisecond}, {ID: "b", Heard: -time.Millisecond}},
		Masters: []Master{{
			Name: "m", Server: Server{Addr: "h:1", Last: observation}, Failover: record, Last: record,
			Verdict: monitor.Verdict{Code: monitor.DeadMaster, Down: []monitor.Opinion{{
				Agent: "a", Server: "h:1", State: monitor.Down, Evidence: monitor.Refused, Age: time.Second, RunID: "r",
			}}, Life: []monitor.Proof{{Replica: "h:2", Text: "t"}}, Since: at},
			Blocker: &failover.Blocker{Reason: "r", Text: "t", Remedy: "y"},
			Shadow:  &state.Shadowed{Old: "h:1", DecidedAt: monitor.MomentOf(at), Target: "h:2", Why: "w", EndAt: monitor.MomentOf(at) + 1, To: "h:2", Compared: "c"},
			Foreign: []monitor.Foreign{{RunID: "r", Addr: "h:5", Name: "m", Master: "h:1", Epoch: 1, Server: "h:2", Age: time.Second}},
		}},
	}
}

func TestJSON_GivesBackWhatItWasMadeOf(t *testing.T) {
	want := whole()
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Picture
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s\ngives %+v\nwant  %+v", text, got, want)
	}
	if bad := regexp.MustCompile(`"[A-Z]\w*":`).FindAll(text, -1); bad != nil {
		t.Errorf("names that are not of JSON: %s", bad)
	}
	if bad := regexp.MustCompile(`[:,\[-]\d{12,}`).FindAll(text, -1); bad != nil {
		t.Errorf("nanoseconds: %s", bad)
	}
}

// TestMoment_Everywhere: agents in other time zones show the same.
func TestMoment_Everywhere(t *testing.T) {
	defer func(here *time.Location) { time.Local = here }(time.Local)
	time.Local = time.FixedZone("there", 3600)
	text, err := json.Marshal([]monitor.Moment{1, monitor.MomentOf(time.Time{})})
	if want := `["1970-01-01T00:00:00.000000001Z","1970-01-01T00:00:00Z"]`; err != nil || string(text) != want {
		t.Errorf("%s (%v), want %s", text, err, want)
	}
	var m monitor.Moment
	if err := json.Unmarshal([]byte(`"0001-01-01T00:00:00Z"`), &m); err != nil || m != 0 {
		t.Errorf("the zero time is %d (%v)", m, err)
	}
}
