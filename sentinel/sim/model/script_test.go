package model

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The scripts are run on redis-server and on the model, and both must answer what they say. They are written with
// go test -run TestScriptsOnRedis -rewrite, never by the model.

func TestScriptsOnModel(t *testing.T) {
	eachScript(t, func(path string, run func(func(*testing.T))) {
		run(func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { play(t, path, newModelWorld(t)) })
		})
	})
}

func TestScriptsOnRedis(t *testing.T) {
	var all sync.WaitGroup // they mostly wait: more of them at once than there are processors
	eachScript(t, func(path string, run func(func(*testing.T))) {
		all.Go(func() { run(func(t *testing.T) { play(t, path, newRealWorld(t)) }) })
	})
	all.Wait()
}

// eachScript hands out the scripts, each with a function that runs a test of its name.
func eachScript(t *testing.T, do func(path string, run func(func(*testing.T)))) {
	paths, err := filepath.Glob("testdata/*.script")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scripts (%v)", err)
	}
	for _, path := range paths {
		do(path, func(test func(*testing.T)) { t.Run(strings.TrimSuffix(filepath.Base(path), ".script"), test) })
	}
}

// player plays one script.
type player struct {
	t     *testing.T
	world world
	names []string              // of servers
	conns map[string]*clientEnd // by server and connection
	ids   map[string]string     // random ids, by what the script calls them
}

type clientEnd struct {
	net.Conn
	reader *bufio.Reader
}

// patience is how long a script waits for what must happen.
const patience = 10 * time.Second

func play(t *testing.T, path string, w world) {
	p := &player{t: t, world: w, conns: map[string]*clientEnd{}, ids: map[string]string{}}
	datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return p.hide(p.step(d)) })
	for _, c := range p.conns {
		_ = c.Close() // the script is over
	}
}

func (p *player) step(d *datadriven.TestData) string {
	name := ""
	if len(d.CmdArgs) > 0 {
		name = d.CmdArgs[0].Key
	}
	switch d.Cmd {
	case "start":
		return p.start(d, name)
	case "send":
		out := p.send(d, name) + p.receive(d, name, strings.Count(d.Input, "\n")+1)
		if d.HasArg("sorted") { // the order of a table is not told by anything
			return sorted(out)
		}
		return out
	case "write":
		return p.send(d, name)
	case "read":
		n := 1
		d.MaybeScanArgs(p.t, "replies", &n)
		return p.receive(d, name, n)
	case "info":
		return p.info(name, strings.Fields(d.Input))
	case "until":
		return p.until(name, strings.Fields(d.Input))
	case "level":
		return p.level(name, d.CmdArgs[1].Key)
	case "moves":
		return p.moves(name)
	case "stream":
		return p.stream(name)
	case "sleep":
		pause, err := time.ParseDuration(name)
		if err != nil {
			d.Fatalf(p.t, "%v", err)
		}
		time.Sleep(pause)
		return ""
	case "crash", "restart", "wipe", "freeze", "thaw", "stop":
		if err := p.world.do(name, d.Cmd); err != nil {
			return err.Error()
		}
		if d.Cmd == "restart" {
			p.until(name, []string{"loading:0"})
		}
		return ""
	}
	d.Fatalf(p.t, "unknown step")
	return ""
}

func (p *player) start(d *datadriven.TestData, name string) string {
	o := options{conf: map[string]string{}}
	for _, line := range strings.Split(d.Input, "\n") {
		key, value, ok := strings.Cut(line, " ")
		switch {
		case !ok:
		case key == "loads":
			o.loadsSlowly = true
		case key == "persistence":
			o.persistence = value
		default:
			o.conf[key] = p.addresses(value)
		}
	}
	p.names = append(p.names, name)
	if err := p.world.start(name, o); err != nil {
		d.Fatalf(p.t, "%v", err)
	}
	return ""
}

// addresses puts "host port" in place of @name, and a port in place of #name.
func (p *player) addresses(s string) string {
	for _, name := range p.names {
		host, port, _ := net.SplitHostPort(p.world.addr(name)) // of a server that runs
		s = strings.ReplaceAll(s, "@"+name, host+" "+port)
		s = strings.ReplaceAll(s, "#"+name, port)
	}
	return s
}

// helloID is the client's number in the reply to HELLO.
var helloID = regexp.MustCompile(`("id"\n *\d+\) \(integer\) )\d+`)

// elapsed is a time that depends on how quick the script is; -1 is something else.
var elapsed = regexp.MustCompile(`(lag=|_seconds(?:_ago)?: )\d+`)

var id = regexp.MustCompile(`\b[0-9a-f]{40}\b`)

// hide gives what is random a name.
func (p *player) hide(s string) string {
	for _, name := range p.names {
		if _, port, err := net.SplitHostPort(p.world.addr(name)); err == nil {
			s = regexp.MustCompile(`\b`+port+`\b`).ReplaceAllString(s, "#"+name)
		}
	}
	s = helloID.ReplaceAllString(s, "${1}#")
	s = elapsed.ReplaceAllString(s, "${1}#")
	return id.ReplaceAllStringFunc(s, func(s string) string {
		if s == zeroID {
			return "none"
		}
		if p.ids[s] == "" {
			p.ids[s] = fmt.Sprintf("id%d", len(p.ids)+1)
		}
		return p.ids[s]
	})
}

// symbols puts the ids that the script has seen in place of their names.
func (p *player) symbols(s string) string {
	for id, name := range p.ids {
		s = regexp.MustCompile(`\b`+name+`\b`).ReplaceAllString(s, id)
	}
	return p.addresses(s)
}

func (p *player) conn(d *datadriven.TestData, name string) *clientEnd {
	key := "0"
	d.MaybeScanArgs(p.t, "conn", &key)
	return p.open(d, name, name+" "+key)
}

func (p *player) open(d *datadriven.TestData, name, key string) *clientEnd {
	if c := p.conns[key]; c != nil {
		return c
	}
	raw, err := p.world.dial(name)
	if err != nil {
		d.Fatalf(p.t, "%v", err)
	}
	c := &clientEnd{raw, bufio.NewReader(raw)}
	p.conns[key] = c
	return c
}

func (p *player) send(d *datadriven.TestData, name string) string {
	c := p.conn(d, name)
	var out []byte
	for _, line := range strings.Split(repeated(p.symbols(d.Input)), "\n") {
		if d.HasArg("inline") {
			out = append(out, line+"\r\n"...)
			continue
		}
		words, ok := splitLine(line)
		if !ok {
			d.Fatalf(p.t, "quotes in %q", line)
		}
		out = appendCommand(out, words...)
	}
	if _, err := c.Write(out); err != nil {
		return err.Error()
	}
	return ""
}

func (p *player) receive(d *datadriven.TestData, name string, replies int) string {
	c := p.conn(d, name)
	wait := patience
	var b strings.Builder
	for range replies {
		if d.HasArg("nothing") {
			wait = 300 * time.Millisecond
		}
		_ = c.SetReadDeadline(time.Now().Add(wait)) // it is open
		text, err := readReply(c.reader, "")
		if err != nil {
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				return b.String() + "nothing\n"
			}
			key := "0"
			d.MaybeScanArgs(p.t, "conn", &key)
			delete(p.conns, name+" "+key)
			_ = c.Close() // it is closed already
			return b.String() + "closed\n"
		}
		b.WriteString(text)
	}
	return b.String()
}

var place = regexp.MustCompile(`(?m)^ *\d+\) `)

// sorted are the elements of a flat reply in an order that means nothing.
func sorted(reply string) string {
	lines := strings.SplitAfter(place.ReplaceAllString(reply, ""), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// fields asks for INFO over a connection of its own.
func (p *player) fields(name string) (map[string]string, error) {
	raw, err := p.world.dial(name)
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	_ = raw.SetReadDeadline(time.Now().Add(patience)) // it is open
	if _, err := raw.Write(appendCommand(appendCommand(nil, "INFO", "everything"), "QUIT")); err != nil {
		return nil, err
	}
	reader := bufio.NewReader(raw)
	text, err := readReply(reader, "")
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(io.Discard, reader); err != nil { // gone from the server's list of clients
		return nil, err
	}
	text, err = strconv.Unquote(strings.TrimSuffix(text, "\n"))
	if err != nil {
		return nil, fmt.Errorf("INFO answers %s", text)
	}
	all := map[string]string{}
	for line := range strings.SplitSeq(text, "\r\n") {
		if key, value, ok := strings.Cut(line, ":"); ok {
			all[key] = value
		}
	}
	return all, nil
}

func (p *player) info(name string, fields []string) string {
	all, err := p.fields(name)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, f := range fields {
		value, ok := all[f]
		if !ok {
			value = "(no such field)"
		}
		fmt.Fprintf(&b, "%s: %s\n", f, value)
	}
	return b.String()
}

// await looks until what is true.
func (p *player) await(what func() error) string {
	deadline := time.Now().Add(patience)
	for {
		err := what()
		if err == nil {
			return "yes\n"
		}
		if time.Now().After(deadline) {
			return err.Error() + "\n"
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// until waits for fields to have values.
func (p *player) until(name string, wants []string) string {
	return p.await(func() error {
		all, err := p.fields(name)
		if err != nil {
			return err
		}
		for _, w := range wants {
			key, value, _ := strings.Cut(w, ":")
			if got := all[key]; got != p.symbols(value) {
				return fmt.Errorf("%s is %q", key, got)
			}
		}
		return nil
	})
}

// moves says whether a master's offset does by itself.
func (p *player) moves(name string) string {
	before, err := p.fields(name)
	if err != nil {
		return err.Error()
	}
	time.Sleep(2500 * time.Millisecond)
	after, err := p.fields(name)
	if err != nil {
		return err.Error()
	}
	if before["master_repl_offset"] == after["master_repl_offset"] {
		return "no\n"
	}
	return "yes\n"
}

// level waits until a replica has applied all that its master has, and has said so.
func (p *player) level(master, replica string) string {
	return p.await(func() error {
		m, err := p.fields(master)
		if err != nil {
			return err
		}
		r, err := p.fields(replica)
		if err != nil {
			return err
		}
		_, port, _ := net.SplitHostPort(p.world.addr(replica)) // of a server that runs
		acked := false
		for i := range 8 {
			is := m[fmt.Sprintf("slave%d", i)]
			acked = acked || strings.Contains(is, "port="+port+",state=online,offset="+m["master_repl_offset"]+",")
		}
		if r["master_link_status"] != "up" || m["master_repl_offset"] != r["slave_repl_offset"] || !acked {
			return fmt.Errorf("the master is at %s, the replica at %s", m["master_repl_offset"], r["slave_repl_offset"])
		}
		return nil
	})
}

// stream shows all that a master's backlog holds, as a replica gets it, but for moments.
func (p *player) stream(name string) string {
	all, err := p.fields(name)
	if err != nil {
		return err.Error()
	}
	raw, err := p.world.dial(name)
	if err != nil {
		return err.Error()
	}
	defer raw.Close()
	_ = raw.SetReadDeadline(time.Now().Add(patience)) // it is open
	reader := bufio.NewReader(raw)
	for _, words := range [][]string{
		{"REPLCONF", "capa", "psync2"}, {"PSYNC", all["master_replid"], all["repl_backlog_first_byte_offset"]},
	} {
		if _, err := raw.Write(appendCommand(nil, words...)); err != nil {
			return err.Error()
		}
		if _, err := readReply(reader, ""); err != nil {
			return err.Error()
		}
	}
	length, _ := strconv.Atoi(all["repl_backlog_histlen"]) // zero shows nothing
	stream := make([]byte, length)
	if _, err := io.ReadFull(reader, stream); err != nil {
		return err.Error()
	}
	var b strings.Builder
	for len(stream) > 0 {
		args, n, err := parse(stream)
		if err != nil || n == 0 {
			return fmt.Sprintf("the stream goes on with %q, %v", stream, err)
		}
		stream = stream[n:]
		fmt.Fprintf(&b, "%s\n", unixTime.ReplaceAllString(strings.Join(args, " "), "MOMENT"))
	}
	_ = raw.Close() // and wait until the server knows
	p.until(name, []string{"connected_slaves:" + all["connected_slaves"]})
	return b.String()
}

// unixTime is a Unix time in ms.
var unixTime = regexp.MustCompile(`\b\d{12,13}\b`)

var repetition = regexp.MustCompile(`REPEAT\*(\d+)`)

// repeated writes out long values.
func repeated(s string) string {
	return repetition.ReplaceAllStringFunc(s, func(s string) string {
		n, _ := strconv.Atoi(strings.TrimPrefix(s, "REPEAT*")) // the expression says that it is a number
		return strings.Repeat("x", n)
	})
}
