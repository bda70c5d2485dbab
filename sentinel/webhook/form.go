package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/template"
	"time"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/events"
	"picket/sentinel/state"
)

// form makes the body of a request.
type form interface {
	// has says whether there is a form for an event.
	has(*state.Event) bool
	// body depends on nothing but the event, and the one that began its failover; nil: that is forgotten, or there is none.
	body(e, begun *state.Event) ([]byte, error)
	contentType() string
}

func newForm(cluster string, w config.Webhook) (form, error) {
	switch {
	case w.Template != "":
		return newTemplate(cluster, w)
	case w.Preset == config.PresetSlack:
		return slack{cluster}, nil
	case w.Preset == config.PresetPagerDuty:
		return pagerDuty{cluster, w.RoutingKey}, nil
	case w.Preset == config.PresetAlertmanager:
		return alertmanager{cluster}, nil
	}
	return cloudEvents{cluster}, nil
}

// cloudEvents is CloudEvents 1.0 in structured JSON.
type cloudEvents struct{ cluster string }

func (cloudEvents) has(*state.Event) bool { return true }
func (cloudEvents) contentType() string   { return events.ContentType }
func (f cloudEvents) body(e, _ *state.Event) ([]byte, error) {
	return events.Encode(f.cluster, *e)
}

// moment is a time as the presets want it.
func moment(at monitor.Moment) string { return at.Time().UTC().Format(time.RFC3339Nano) }

// slack is a message to an incoming webhook.
type slack struct{ cluster string }

func (slack) has(*state.Event) bool { return true }
func (slack) contentType() string   { return "application/json" }
func (f slack) body(e, _ *state.Event) ([]byte, error) {
	mark := map[state.EventType]string{
		state.FailoverBegun: ":rotating_light: ", state.FailoverEnded: ":white_check_mark: ", state.FailoverAborted: ":warning: ",
		state.FailoverDivergence: ":warning: ", state.WebhookDead: ":warning: ", state.WebhookGap: ":warning: ",
	}[e.Type]
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;") // the three that Slack asks for
	return json.Marshal(map[string]string{"text": mark + "[" + f.cluster + "] " + escape.Replace(events.Summary(*e))})
}

// planned says whether a failover was wanted by somebody, so that nobody need get up for it.
func planned(e *state.Event) bool { return failover.Cause(e.Data.Cause) == failover.CauseManual }

// stuck says whether a failover was given up because something blocks it: somebody should look.
func stuck(e *state.Event) bool { return e.Type == state.FailoverAborted && e.Data.Reason != "" }

// pagerDuty is an event of its Events API v2. A failover is one incident, which its end resolves; one that is blocked stays open.
type pagerDuty struct {
	cluster string
	key     config.Secret
}

type pagerDutyEvent struct {
	RoutingKey  string            `json:"routing_key"`
	EventAction string            `json:"event_action"`
	DedupKey    string            `json:"dedup_key"`
	Client      string            `json:"client"`
	Payload     *pagerDutyPayload `json:"payload,omitempty"`
}

type pagerDutyPayload struct {
	Summary       string          `json:"summary"`
	Source        string          `json:"source"`
	Severity      string          `json:"severity"`
	Timestamp     string          `json:"timestamp"`
	Component     string          `json:"component,omitempty"`
	Group         string          `json:"group"`
	Class         string          `json:"class"`
	CustomDetails state.EventData `json:"custom_details"`
}

func (pagerDuty) has(e *state.Event) bool { return !planned(e) }
func (pagerDuty) contentType() string     { return "application/json" }
func (f pagerDuty) body(e, _ *state.Event) ([]byte, error) {
	p := pagerDutyEvent{RoutingKey: string(f.key), EventAction: "trigger", Client: "Picket"}
	severity := "error"
	switch {
	case e.Type == state.WebhookTest: // resolves what was never open: it is taken, and wakes nobody
		p.EventAction, p.DedupKey = "resolve", events.ID(f.cluster, *e)
	case e.Type == state.WebhookGap:
		severity, p.DedupKey = "warning", events.ID(f.cluster, *e)
	default:
		p.DedupKey = fmt.Sprintf("picket/%s/%s/%d", f.cluster, e.Master, e.Data.Failover)
		switch {
		case stuck(e):
			severity = "critical"
		case e.Type != state.FailoverBegun:
			p.EventAction = "resolve"
		}
	}
	if p.EventAction == "trigger" {
		p.Payload = &pagerDutyPayload{
			Summary: cut(events.Summary(*e), 1024), Source: "picket/" + f.cluster, Severity: severity, Timestamp: moment(e.At),
			Component: e.Master, Group: f.cluster, Class: string(e.Type), CustomDetails: e.Data,
		}
	}
	return json.Marshal(p)
}

func cut(text string, most int) string {
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "")
	}
	return text
}

// alertmanager is a list of one alert for POST /api/v2/alerts. A failover is one alert, from its begin to its end; one that is blocked goes on
// for a day.
type alertmanager struct{ cluster string }

type alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    string            `json:"startsAt"`
	EndsAt      string            `json:"endsAt"`
}

const (
	longestFailover = time.Hour      // after which an alert ends although nobody was told that the failover has
	longestStuck    = 24 * time.Hour // for which one that needs somebody is shown
)

func (alertmanager) has(*state.Event) bool { return true }
func (alertmanager) contentType() string   { return "application/json" }
func (f alertmanager) body(e, begun *state.Event) ([]byte, error) {
	starts, ends, severity := e.At, e.At, "warning"
	labels := map[string]string{"alertname": "PicketFailover", "cluster": f.cluster}
	switch e.Type {
	case state.WebhookTest:
		labels["alertname"], severity = "PicketTest", "none"
	case state.WebhookGap:
		labels["alertname"] = "PicketEventsMissed"
		ends += monitor.Moment(longestFailover)
	default:
		labels["master"], labels["failover"], labels["cause"] = e.Master, fmt.Sprint(e.Data.Failover), e.Data.Cause
		if planned(e) {
			severity = "info"
		}
		if begun != nil {
			starts = begun.At
		}
		switch {
		case e.Type == state.FailoverBegun:
			ends += monitor.Moment(longestFailover)
		case stuck(e):
			ends += monitor.Moment(longestStuck)
		}
	}
	labels["severity"] = severity // of the beginning, so that the end is of the same alert
	return json.Marshal([]alert{{
		Labels: labels, Annotations: map[string]string{"summary": events.Summary(*e), "event": events.ID(f.cluster, *e)},
		StartsAt: moment(starts), EndsAt: moment(ends),
	}})
}

// templated is what an operator's template gives.
type templated struct {
	cluster string
	text    *template.Template
	kind    string // content type
}

// shown is an event as templates see it.
type shown struct {
	ID, Type, Cluster, Master, Summary, Time string
	Sequence, Epoch                          uint64
	Data                                     map[string]any // by the names of the catalogue; numbers are as they are written in JSON
}

var functions = template.FuncMap{
	// json writes any value as JSON: text in quotes, with all escapes.
	"json": func(value any) (string, error) {
		text, err := json.Marshal(value)
		return string(text), err
	},
}

// newTemplate reads a template and tries it on the example of every type that the webhook may be told of.
func newTemplate(cluster string, w config.Webhook) (form, error) {
	text, err := template.New("template").Funcs(functions).Parse(w.Template)
	if err != nil {
		return nil, fmt.Errorf("its template can't be read: %w", err)
	}
	f := templated{cluster, text, w.ContentType}
	for i := range events.Catalogue {
		k := &events.Catalogue[i]
		if e := k.Sample(); k.Uncommon || w.Wants(string(e.Type), e.Master) || len(w.Masters) > 0 && w.Wants(string(e.Type), w.Masters[0]) {
			if _, err := f.body(&e, nil); err != nil {
				return nil, fmt.Errorf("its template fails on the example of %s: %w", e.Type, err)
			}
		}
	}
	return f, nil
}

func (templated) has(*state.Event) bool { return true }
func (f templated) contentType() string { return f.kind }

// errNotJSON is a body that is not what its content type says.
var errNotJSON = errors.New("what it gives is not JSON: write {{json .Summary}} where text is put in, without quotes around it, or another content-type")

func (f templated) body(e, _ *state.Event) ([]byte, error) {
	view := shown{
		ID: events.ID(f.cluster, *e), Type: events.Name(e.Type), Cluster: f.cluster, Master: e.Master, Summary: events.Summary(*e), Time: moment(e.At),
		Sequence: e.ID, Epoch: e.Epoch,
	}
	data, err := json.Marshal(e.Data)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&view.Data); err != nil {
		return nil, err
	}
	out := limited{left: maxBody}
	if err := f.text.Execute(&out, view); err != nil {
		return nil, err
	}
	if strings.Contains(f.kind, "json") && !json.Valid(out.Bytes()) {
		return nil, errNotJSON
	}
	return out.Bytes(), nil
}

// maxBody bounds what a template may make of an event.
const maxBody = 256 << 10

// limited is a buffer that does not grow beyond a limit.
type limited struct {
	bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, fmt.Errorf("it gives more than %d KiB", maxBody>>10)
	}
	return l.Buffer.Write(p)
}

// CheckBody says what is wrong with a webhook's template; nil: nothing.
func CheckBody(cluster string, w config.Webhook) error {
	_, err := newForm(cluster, w)
	return err
}
