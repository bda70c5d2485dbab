package events

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"picket/config"
	"picket/consensus"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/state"
)

var update = flag.Bool("update", false, "write docs/events.md and docs/events.schema.json anew")

// compiled is the schema of all events, as the file has it.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	data, err := json.Marshal(Schema())
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("events.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("events.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func validate(schema *jsonschema.Schema, e state.Event) error {
	body, err := Encode("main", e)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// declared are the types that package state has constants of.
func declared(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../state/event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || fmt.Sprint(spec.Type) != "EventType" {
			return true
		}
		for _, value := range spec.Values {
			text, err := strconv.Unquote(value.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			types = append(types, text)
		}
		return true
	})
	slices.Sort(types)
	return types
}

func TestCatalogue_HasEveryType(t *testing.T) {
	var types []string
	for _, k := range Catalogue {
		types = append(types, string(k.Type))
		if !k.Uncommon && !config.KnownEvent(string(k.Type)) {
			t.Errorf("a configuration can't ask for %s", k.Type)
		}
		if k.Uncommon && slices.Contains(config.EventTypes(), string(k.Type)) {
			t.Errorf("a configuration need not ask for %s: it is told anyway", k.Type)
		}
	}
	slices.Sort(types)
	if all := declared(t); !slices.Equal(types, all) || len(all) < 30 {
		t.Errorf("the catalogue has\n%v\nand there are\n%v", types, all)
	}
	if want := len(config.EventTypes()) + 2; len(types) != want {
		t.Errorf("%d types; a configuration may ask for all but two: %d", len(types), want)
	}
}

func TestCatalogue_ExamplesAndFields(t *testing.T) {
	schema, used := compiled(t), map[string]bool{}
	for i := range Catalogue {
		k := &Catalogue[i]
		if err := validate(schema, k.Sample()); err != nil {
			t.Errorf("%s: %v", k.Type, err)
		}
		if s := Summary(k.Sample()); s == string(k.Type) || strings.Contains(s, "%!") || strings.HasSuffix(s, " ") || strings.Contains(s, "  ") {
			t.Errorf("%s has the summary %q", k.Type, s)
		}
		for _, name := range slices.Concat(k.Always, k.Perhaps) {
			if used[name] = true; fields[name].text == "" {
				t.Errorf("%s has a field %s that is not described", k.Type, name)
			}
		}
	}
	for name := range fields {
		if !used[name] {
			t.Errorf("no type has the field %s", name)
		}
	}
}

// TestSummary has what the same type may say beside its example.
func TestSummary(t *testing.T) {
	for want, e := range map[string]state.Event{
		"m is down at h:1, and is failed over: refused": {Type: state.FailoverBegun, Data: state.EventData{Cause: "master-down", From: "h:1", Evidence: "refused"}},
		"m is handed over from h:1":                     {Type: state.FailoverBegun, Data: state.EventData{Cause: "manual", From: "h:1"}},
		"m: 7 bytes of writes to h:1 are lost":          {Type: state.FailoverDivergence, Data: state.EventData{From: "h:1", Known: true, Bytes: 7}},
		"m: writes to h:1 may be lost: it was reset":    {Type: state.FailoverDivergence, Data: state.EventData{From: "h:1", Why: "it was reset"}},
		"alice accepts that m may lose writes":          {Type: state.FailoverAllowed, Data: state.EventData{Who: "alice"}},
		"somebody accepts that m may lose writes":       {Type: state.FailoverAllowed},
	} {
		e.Master = "m"
		if got := Summary(e); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestSchema_RefusesWhatIsWrong: one that takes everything shows nothing.
func TestSchema_RefusesWhatIsWrong(t *testing.T) {
	schema := compiled(t)
	good := Find(state.FailoverSwitched).Sample()
	for name, change := range map[string]func(*state.Event){
		"no master": func(e *state.Event) { e.Master = "" }, "another type": func(e *state.Event) { e.Type = "failover.paused" },
		"a field is missing": func(e *state.Event) { e.Data.To = "" }, "a field too many": func(e *state.Event) { e.Data.Quorum = 3 },
		"no address": func(e *state.Event) { e.Data.To = "somewhere" },
	} {
		bad := good
		change(&bad)
		if validate(schema, bad) == nil {
			t.Errorf("%s: it is valid", name)
		}
	}
	if err := validate(schema, good); err != nil {
		t.Error(err)
	}
}

// TestSchema_TakesWhatIsCommitted has the state machine emit every type there is.
func TestSchema_TakesWhatIsCommitted(t *testing.T) {
	schema, m, index, term := compiled(t), state.NewMachine(), uint64(0), uint64(1)
	seen := map[state.EventType]bool{state.WebhookGap: true, state.WebhookTest: true} // these are not in the log
	do := func(c state.Command) {
		t.Helper()
		index++
		c.At = monitor.Moment(index) * 1e9
		data, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if result := m.Apply(consensus.Entry{Index: consensus.Index(index), Term: consensus.Term(term), Kind: consensus.EntryCommand, Data: data}); result != nil {
			t.Fatalf("command %d: %v", index, result)
		}
		for _, e := range m.State().After(index-1, 1) {
			seen[e.Type] = true
			if err := validate(schema, e); err != nil {
				t.Errorf("%s: %v", e.Type, err)
			}
		}
	}
	step := func(s failover.Step) {
		t.Helper()
		s.Master, s.Epoch, s.At = "m", term, monitor.Moment(index)*1e9
		do(state.Command{Step: &s})
	}
	begin := failover.Step{Kind: failover.StepBegin, Cause: failover.CauseDown, Old: "h:1", Replicas: []config.Addr{"h:2"}, Evidence: "refused", Down: 1}
	do(state.Command{AdvanceCursor: &state.Cursor{Endpoint: "ops"}})
	do(state.Command{AddMaster: &state.AddMaster{Name: "m", Addr: "h:1", Quorum: 2}})
	do(state.Command{AddReplica: &state.AddReplica{Master: "m", Addr: "h:2"}})
	do(state.Command{AddReplica: &state.AddReplica{Master: "m", Addr: "h:3"}})
	do(state.Command{AddReplica: &state.AddReplica{Master: "m", Addr: "h:4"}})
	do(state.Command{Move: &state.MoveReplica{Master: "m", From: "h:3", To: "h:4", RunID: "r"}})
	do(state.Command{Forget: &state.Register{Master: "m", Process: failover.Process{Addr: "h:4"}}})
	do(state.Command{RegisterAgent: &state.Agent{ID: "a", Host: "h", SentinelPort: 26379}})
	do(state.Command{RegisterAgent: &state.Agent{ID: "a", Host: "i", SentinelPort: 26379}})
	do(state.Command{ForgetAgent: "a"})
	do(state.Command{Pause: &state.Pause{Master: "m", Who: "w", Why: "y", Until: 1e15}})
	do(state.Command{Resume: &state.Resume{Master: "m"}})
	do(state.Command{Set: &state.SetOptions{Master: "m", Options: []state.Option{{Name: "quorum", Value: "1"}}}})
	do(state.Command{Schedule: &state.ScheduleSwitchover{Master: "m", Schedule: state.Schedule{At: 1e15, Who: "w"}}})
	do(state.Command{Cancel: &state.CancelSwitchover{Master: "m", Why: "refused"}})
	do(state.Command{Shadow: &state.Shadow{Kind: state.ShadowDecided, Master: "m", Old: "h:1", Evidence: "refused", Down: 1}})
	do(state.Command{Shadow: &state.Shadow{Kind: state.ShadowStayed, Master: "m", Old: "h:1"}})
	term++
	do(state.Command{Inquire: &state.Inquire{Master: "m", Inquiry: failover.Inquiry{Agent: "a", Epoch: term, Vetoed: true, Why: "no"}}})
	step(begin)
	do(state.Command{AllowLoss: &state.AllowLoss{Master: "m", Failover: index, Who: "w"}})
	step(failover.Step{Kind: failover.StepAbort, Why: "it is back"})
	term++
	step(begin)
	begun := index
	term++
	step(failover.Step{Kind: failover.StepResume})
	step(failover.Step{Kind: failover.StepPromote, Target: "h:2", RunID: "r", Offset: 9, Why: "it holds the most"})
	step(failover.Step{Kind: failover.StepSwitch, Target: "h:2"})
	step(failover.Step{Kind: failover.StepRepoint, Replica: "h:1"})
	step(failover.Step{Kind: failover.StepEnd})
	do(state.Command{Acknowledge: &state.Acknowledgement{Master: "m", Failover: begun, Who: "w"}})
	do(state.Command{Diverged: &state.Diverged{Master: "m", Divergence: failover.Divergence{Server: "h:1", Known: true, Bytes: 7, Kept: "f"}}})
	do(state.Command{Reset: &state.Reset{Master: "m", Gone: []failover.Process{{Addr: "h:1"}}}})
	do(state.Command{Remove: "m"})
	for _, d := range []state.Delivery{
		{Kind: state.DeliveryDied, ID: begun, Lane: "m", Error: "refused"}, {Kind: state.DeliveryForgotten, Who: "w"},
		{Kind: state.DeliveryGone, Target: "f"}, {Kind: state.DeliveryEnabled, Who: "w"}, {Kind: state.DeliveryRemoved},
	} {
		d.Endpoint = "ops"
		do(state.Command{Delivery: &d})
	}
	for _, name := range declared(t) {
		if !seen[state.EventType(name)] {
			t.Errorf("%s was not emitted: add the command that makes it, above", name)
		}
	}
}

func TestDocuments_AreOfToday(t *testing.T) {
	schema, err := json.MarshalIndent(Schema(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{"../../docs/events.md": document(t), "../../docs/events.schema.json": string(schema) + "\n"} {
		if *update {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%s is not of today: go test ./sentinel/events -update (error: %v)", path, err)
		}
	}
}

func document(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(`# Events

What happens is agreed in the log, and told to [webhooks](webhooks.md), to the streams of [HTTP](protocol.md) and in the agents' logs. This page is made from
the catalogue in ` + "`sentinel/events`" + `; [events.schema.json](events.schema.json) is the JSON schema of all of them.

Each is a [CloudEvent](https://cloudevents.io):

`)
	fenced(&b, Of("main", Find(state.FailoverSwitched).Sample()))
	b.WriteString(`
- ` + "`id`" + ` is the same whenever and by whichever agent the event is told: the cluster's name and the index in the log.
- ` + "`sequence`" + ` is that index. It is the order of events, to be compared as a number.
- ` + "`traceparent`" + `, of the events of a failover, names it as a trace (W3C Trace Context): see [monitoring.md](monitoring.md).
- ` + "`epoch`" + ` is the term in which it was agreed. ` + "`subject`" + ` is the master, if it concerns one. ` + "`time`" + ` is by the clock of the agent that proposed it.
- Types never change meaning, and data only gains fields. Fields that say nothing are left out.

| type | when |
| --- | --- |
`)
	for _, k := range Catalogue {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s |\n", Name(k.Type), anchor(Name(k.Type)), k.Text)
	}
	b.WriteString("\n`webhooks[].events` has them without `io.picket.` and `.v1`.\n")
	for i := range Catalogue {
		k := &Catalogue[i]
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", Name(k.Type), k.Text)
		for _, name := range k.Always {
			fmt.Fprintf(&b, "- `%s` (%s): %s\n", name, fields[name].words(), fields[name].text)
		}
		for _, name := range k.Perhaps {
			fmt.Fprintf(&b, "- `%s` (%s, may be absent): %s\n", name, fields[name].words(), fields[name].text)
		}
		b.WriteString("\n")
		fenced(&b, k.Example)
	}
	return b.String()
}

// words is a field's kind, for people.
func (f field) words() string {
	switch f.kind {
	case addresses:
		return "list of host:port"
	case address:
		return "host:port"
	case moment:
		return "RFC 3339"
	case options:
		return "list of name and value"
	case text:
		return "text"
	case truth:
		return "true or false"
	}
	return "number"
}

func anchor(heading string) string { return strings.ReplaceAll(heading, ".", "") }

func fenced(b *strings.Builder, value any) {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		panic(err) // plain values
	}
	fmt.Fprintf(b, "```json\n%s\n```\n", text)
}
