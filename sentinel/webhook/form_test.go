package webhook

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"picket/config"
	"picket/monitor"
	"picket/sentinel/events"
	"picket/sentinel/state"
)

// formed is the body that a webhook gets of an event.
func formed(t *testing.T, w config.Webhook, e state.Event, begun *state.Event) string {
	t.Helper()
	f, err := newForm("main", hook(w))
	if err != nil {
		t.Fatal(err)
	}
	body, err := f.body(&e, begun)
	if err != nil || !json.Valid(body) {
		t.Fatalf("%s, %v", body, err)
	}
	return string(body)
}

func sample(eventType state.EventType) state.Event { return events.Find(eventType).Sample() }

func TestSlack(t *testing.T) {
	e := sample(state.FailoverAborted)
	e.Data.Why = `a "reason" with <tags> & so on`
	want := `{"text":":warning: [main] the failover of mymaster was given up; it is at 10.0.0.1:6379: a \"reason\" with \u0026lt;tags\u0026gt; \u0026amp; so on"}`
	if got := formed(t, config.Webhook{Preset: config.PresetSlack}, e, nil); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestPagerDuty: one failover is one incident.
func TestPagerDuty(t *testing.T) {
	w := config.Webhook{Preset: config.PresetPagerDuty, RoutingKey: "key"}
	blocked := sample(state.FailoverAborted)
	blocked.Data.Reason = "no-candidate"
	for name, tc := range map[string]struct {
		event                 state.Event
		action, key, severity string
	}{
		"begun":   {sample(state.FailoverBegun), "trigger", "picket/main/mymaster/4711", "error"},
		"ended":   {sample(state.FailoverEnded), "resolve", "picket/main/mymaster/4711", ""},
		"aborted": {sample(state.FailoverAborted), "resolve", "picket/main/mymaster/4711", ""},
		"blocked": {blocked, "trigger", "picket/main/mymaster/4711", "critical"},
		"gap":     {sample(state.WebhookGap), "trigger", "main-gap-1300", "warning"},
		"test":    {sample(state.WebhookTest), "resolve", events.ID("main", sample(state.WebhookTest)), ""},
	} {
		var got struct {
			RoutingKey  string `json:"routing_key"`
			EventAction string `json:"event_action"`
			DedupKey    string `json:"dedup_key"`
			Payload     struct{ Summary, Source, Severity, Timestamp, Component, Class string }
		}
		if err := json.Unmarshal([]byte(formed(t, w, tc.event, nil)), &got); err != nil {
			t.Fatal(err)
		}
		if got.RoutingKey != "key" || got.EventAction != tc.action || got.DedupKey != tc.key || got.Payload.Severity != tc.severity {
			t.Errorf("%s: %+v", name, got)
		}
		if p := got.Payload; tc.action == "trigger" && (p.Summary == "" || p.Source != "picket/main" || p.Timestamp != "2026-01-02T03:04:05.678Z" || p.Class != string(tc.event.Type)) {
			t.Errorf("%s: %+v", name, p)
		}
	}
	e, ordered := sample(state.FailoverBegun), sample(state.FailoverBegun)
	e.Data.Evidence = strings.Repeat("é", 3000)
	if body := formed(t, w, e, nil); len(body) > 10_000 || strings.Contains(body, `"summary":"`+events.Summary(e)) {
		t.Errorf("its summary has more than the 1,024 characters that there may be: %s", body)
	}
	ordered.Data.Cause = "manual"
	if !(pagerDuty{}).has(&e) || (pagerDuty{}).has(&ordered) {
		t.Error("what somebody has ordered wakes somebody, or what nobody has does not")
	}
}

// TestAlertmanager: the alert of a failover has the same labels from its begin to its end, which is how the two are known to be the same.
func TestAlertmanager(t *testing.T) {
	type alerts []struct {
		Labels, Annotations map[string]string
		StartsAt, EndsAt    time.Time
	}
	of := func(e state.Event, begun *state.Event) (a alerts) {
		if err := json.Unmarshal([]byte(formed(t, config.Webhook{Preset: config.PresetAlertmanager}, e, begun)), &a); err != nil || len(a) != 1 {
			t.Fatal(a, err)
		}
		return a
	}
	begun, ended, blocked := sample(state.FailoverBegun), sample(state.FailoverEnded), sample(state.FailoverAborted)
	ended.At += monitor.Moment(time.Minute)
	blocked.Data.Reason = "no-candidate"
	first, last, stuck := of(begun, &begun)[0], of(ended, &begun)[0], of(blocked, &begun)[0]
	const labels = `{"alertname":"PicketFailover","cause":"master-down","cluster":"main","failover":"4711","master":"mymaster","severity":"warning"}`
	three := alerts{first, last, stuck}
	for _, a := range three {
		text, err := json.Marshal(a.Labels)
		if err != nil || string(text) != labels || !a.StartsAt.Equal(begun.At.Time()) || a.Annotations["summary"] == "" {
			t.Errorf("%+v", a)
		}
	}
	if first.EndsAt.Sub(first.StartsAt) != time.Hour || last.EndsAt.Sub(last.StartsAt) != time.Minute || stuck.EndsAt.Sub(stuck.StartsAt) != 24*time.Hour {
		t.Errorf("they end at %v, %v and %v", first.EndsAt, last.EndsAt, stuck.EndsAt)
	}
	begun.Data.Cause, ended.Data.Cause = "manual", "manual"
	for _, a := range (alerts{of(begun, &begun)[0], of(ended, &begun)[0]}) {
		if a.Labels["severity"] != "info" {
			t.Errorf("ordered: %+v", a)
		}
	}
	if forgotten := of(ended, nil)[0]; !forgotten.StartsAt.Equal(forgotten.EndsAt) {
		t.Errorf("without its begin: %+v", forgotten)
	}
	for _, eventType := range []state.EventType{state.WebhookGap, state.WebhookTest} {
		if a := of(sample(eventType), nil)[0]; a.Labels["master"] != "" || a.EndsAt.Before(a.StartsAt) {
			t.Errorf("%s: %+v", eventType, a)
		}
	}
}

func TestTemplate(t *testing.T) {
	w := config.Webhook{Template: `{"t": {{json .Type}}, "s": {{json .Summary}}, "n": {{json .Sequence}}, "m": {{json .Master}}, "f": {{json .Data.failover}}, "b": {{json .Data.bytes}}}`}
	e := sample(state.FailoverAborted)
	e.Data.Why, e.Data.Failover = `"quoted"`, 1<<60
	want := `{"t": "io.picket.failover.aborted.v1", "s": "the failover of mymaster was given up; it is at 10.0.0.1:6379: \"quoted\"", "n": 4718, "m": "mymaster", ` +
		`"f": 1152921504606846976, "b": null}`
	if got := formed(t, w, e, nil); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for template, want := range map[string]string{
		"{{.Nothing}}":                         "fails on the example of failover.begun",
		"{{":                                   "can't be read",
		`{"s": "{{.Summary}}"}`:                "",
		`{"w": "{{.Data.evidence}}}`:           "is not JSON",
		`{{printf "%0300000d" 1}}`:             "more than 256 KiB",
		`{{if eq .Master "mymaster"}}1{{end}}`: "is not JSON",
	} {
		err := CheckBody("main", hook(config.Webhook{Template: template}))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", template, err, want)
		}
	}
	// It is tried only on what it may be told of, and is whatever its content type says.
	for _, w := range []config.Webhook{
		{Template: `{"s": {{json .Data.from}}}`, Events: []string{"failover.*"}}, {Template: "{{.Summary}}", ContentType: "text/plain"},
		{Template: `{{if eq .Master "other"}}1{{else}}2{{end}}`, Masters: []string{"other"}},
	} {
		if err := CheckBody("main", hook(w)); err != nil {
			t.Errorf("%+v: %v", w, err)
		}
	}
}

// TestForms_HaveOneForEveryEvent: none fails for an event that it says it has a form for.
func TestForms_HaveOneForEveryEvent(t *testing.T) {
	for _, preset := range []string{config.PresetCloudEvents, config.PresetSlack, config.PresetPagerDuty, config.PresetAlertmanager} {
		for i := range events.Catalogue {
			w := hook(config.Webhook{Preset: preset, RoutingKey: "key"})
			if e := events.Catalogue[i].Sample(); w.Wants(string(e.Type), e.Master) || events.Catalogue[i].Uncommon {
				if body := formed(t, w, e, nil); len(body) < 20 {
					t.Errorf("%s, %s: %s", preset, e.Type, body)
				}
			}
		}
	}
}
