package webhook

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"picket/config"
	"picket/sentinel/state"
)

// TestSign_PublishedExample has the numbers of the Standard Webhooks reference libraries.
func TestSign_PublishedExample(t *testing.T) {
	key, err := config.Webhook{Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}.SigningKey()
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	sign(h, key, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	for name, want := range map[string]string{
		"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
		"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestEncode(t *testing.T) {
	at := time.Date(2026, 11, 23, 10, 0, 0, 123456789, time.UTC).UnixNano()
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
		got, err := encode("main", tc.event)
		if err != nil || string(got) != tc.want {
			t.Errorf("got\n%s, %v\nwant\n%s", got, err, tc.want)
		}
		if !json.Valid(got) {
			t.Errorf("not JSON: %s", got)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "soon": 0, "-5": 0, "0": 0, "120": 2 * time.Minute, "3601": longestWait, "99999999999": longestWait,
		"99999999999999999999999": 0, "Mon, 02 Jan 2006 15:04:05 GMT": 0,
		time.Now().Add(48 * time.Hour).UTC().Format(http.TimeFormat): longestWait,
	} {
		if got := retryAfter(value); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
	soon := time.Now().Add(10 * time.Minute).UTC().Format(http.TimeFormat)
	if got := retryAfter(soon); got < 9*time.Minute || got > 10*time.Minute {
		t.Errorf("%q: %v, want ten minutes", soon, got)
	}
}

func TestPauseAfter_GrowsToItsBound(t *testing.T) {
	for attempts := 1; attempts < 100; attempts++ {
		want := pauses[min(attempts, len(pauses))-1]
		if got := pauseAfter(attempts); got < want*7/8 || got > want*9/8 {
			t.Errorf("after %d attempts: %v, want about %v", attempts, got, want)
		}
	}
}

// TestEventTypes_CanBeConfigured fails for a type that a configuration cannot ask for.
func TestEventTypes_CanBeConfigured(t *testing.T) {
	for _, eventType := range []state.EventType{
		state.MasterAdded, state.ReplicaAdded, state.AgentRegistered, state.FailoverBegun, state.FailoverResumed, state.FailoverPromoting,
		state.FailoverSwitched, state.FailoverRepointed, state.FailoverEnded, state.FailoverAborted,
	} {
		if !config.KnownEvent(string(eventType)) {
			t.Errorf("config does not know %s", eventType)
		}
	}
}
