package events

import (
	"encoding/json"
	"testing"
	"time"

	"picket/monitor"
	"picket/sentinel/state"
)

func TestEncode(t *testing.T) {
	at := monitor.MomentOf(time.Date(2026, 11, 23, 10, 0, 0, 123456789, time.UTC))
	for _, tc := range []struct {
		event state.Event
		want  string
	}{
		{
			state.Event{ID: 42, Type: state.FailoverSwitched, Master: "mymaster", Epoch: 7, At: at, Data: state.EventData{From: "h:1", To: "h:2"}},
			`{"specversion":"1.0","id":"main-42","source":"/clusters/main/masters/mymaster","type":"io.picket.failover.switched.v1",` +
				`"subject":"mymaster","time":"2026-11-23T10:00:00.123456789Z","datacontenttype":"application/json","sequence":"42",` +
				`"epoch":"7","data":{"from":"h:1","to":"h:2"}}`,
		},
		{
			state.Event{ID: 1, Type: state.AgentRegistered, Epoch: 1, At: at, Data: state.EventData{Agent: "a1"}},
			`{"specversion":"1.0","id":"main-1","source":"/clusters/main","type":"io.picket.agent.registered.v1",` +
				`"time":"2026-11-23T10:00:00.123456789Z","datacontenttype":"application/json","sequence":"1","epoch":"1",` +
				`"data":{"agent":"a1"}}`,
		},
	} {
		got, err := Encode("main", tc.event)
		if err != nil || string(got) != tc.want {
			t.Errorf("got\n%s, %v\nwant\n%s", got, err, tc.want)
		}
		if !json.Valid(got) {
			t.Errorf("not JSON: %s", got)
		}
	}
}

func TestID_OfWhatIsNotInTheLog(t *testing.T) {
	for want, e := range map[string]state.Event{
		"c-gap-9": {ID: 9, Type: state.WebhookGap}, "c-test-8": {ID: 8, Type: state.WebhookTest}, "c-7": {ID: 7, Type: state.WebhookDead},
	} {
		if got := ID("c", e); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestIndex(t *testing.T) {
	for id, want := range map[string]uint64{"my-cluster-12": 12, "12": 12, "other-12": 0, "": 0, "my-cluster-gap-12": 0, "-1": 0} {
		if got, ok := Index("my-cluster", id); got != want || ok != (want != 0) {
			t.Errorf("%q: %d, %v", id, got, ok)
		}
	}
}
