package resp

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/config"
	"picket/sentinel/lab"
	"picket/sentinel/picture"
)

// pair are a real Sentinel, and this server with a picture of what that one watches.
type pair struct {
	theirs, ours string
	master       config.Addr
	backend      *fake
	mirror       func() picture.Picture
}

func newPair(t *testing.T) pair {
	t.Helper()
	l := lab.New(t.TempDir())
	t.Cleanup(l.Close)
	group, err := l.StartSentinels(lab.ClusterOptions{DownAfter: 5 * time.Second, FailoverTimeout: time.Minute})
	if err != nil {
		if group == nil {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	var sentinels []config.Addr
	for _, p := range group.Sentinels {
		sentinels = append(sentinels, config.Addr("127.0.0.1:"+strings.TrimPrefix(p.Name, "sentinel-")))
	}
	backend := newFake(mirror(group, sentinels))
	s := start(t, Config{Backend: backend, Version: "v1"})
	return pair{
		string(sentinels[0]), s.Addr().String(), group.Redis[0].Addr, backend, func() picture.Picture { return mirror(group, sentinels) },
	}
}

// TestSameAsSentinel asks a real Sentinel and this server the same, about the same topology, in both versions of the protocol, as people type
// and as programs write. The answers must be the same but for what depends on the moment, and for the differences that
// docs/sentinel-compatibility.md lists; and those must be there.
func TestSameAsSentinel(t *testing.T) {
	p := newPair(t)
	for _, conversation := range questions(t, "testdata/questions/*.txt") {
		p.compare(t, conversation)
	}
	for _, row := range differences(t) {
		p.differ(t, row)
	}
	p.compareInfo(t)
	p.compareCommands(t)

	lost := p.mirror()
	lost.Masters[0].Quorum = 5
	p.backend.picture.Store(&lost)
	if got := exchangeLines(t, p.theirs, 2, false, []string{"SENTINEL SET mymaster quorum 5"}); got[0] != "+OK" {
		t.Fatal(got)
	}
	p.compare(t, []string{"SENTINEL CKQUORUM mymaster"})

	for _, addr := range []string{p.theirs, p.ours} {
		if got := exchangeLines(t, addr, 2, false, []string{"ACL SETUSER default resetpass >secret"}); got[0] != "+OK" {
			t.Fatal(got)
		}
	}
	for _, conversation := range questions(t, "testdata/questions/guests/*.txt") {
		p.compare(t, conversation)
	}
}

// questions are conversations that must be the same.
func questions(t *testing.T, pattern string) [][]string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	var all [][]string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for block := range strings.SplitSeq(string(text), "\n\n") {
			lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(block), "\n"), func(line string) bool { return strings.HasPrefix(line, "# ") })
			if len(lines) > 0 {
				all = append(all, lines)
			}
		}
	}
	return all
}

// compare has the same conversation with both. Sentinels that have just met may be without a connection for a
// moment, so the answers have some time to become the same.
func (p pair) compare(t *testing.T, lines []string) {
	t.Helper()
	for _, protocol := range []int{2, 3} {
		typed := protocol == 2
		deadline := time.Now().Add(patience / 4)
		for {
			want, got := exchangeLines(t, p.theirs, protocol, typed, p.local(lines)), exchangeLines(t, p.ours, protocol, typed, p.local(lines))
			if slices.Equal(got, want) {
				break
			}
			if time.Now().After(deadline) {
				t.Errorf("RESP%d:\n%s\n%s", protocol, strings.Join(lines, "\n"), unlike(want, got))
				break
			}
			<-time.After(50 * time.Millisecond)
		}
	}
}

// local puts the address of the master in the place of the words for it.
func (p pair) local(lines []string) []string {
	var local []string
	for _, line := range lines {
		local = append(local, strings.ReplaceAll(line, "HOST PORT", fmt.Sprintf("%s %d", p.master.Host(), p.master.Port())))
	}
	return local
}

// unlike shows where two lists of answers part.
func unlike(want, got []string) string {
	i := 0
	for i < min(len(want), len(got)) && want[i] == got[i] {
		i++
	}
	at := func(answers []string) string {
		if i < len(answers) {
			return answers[i]
		}
		return "nothing more"
	}
	return fmt.Sprintf("answer %d:\nSentinel: %s\nthis:     %s", i+1, at(want), at(got))
}

// difference is a row of the table of those that are meant.
type difference struct {
	lines        []string // of a conversation; it is about the last answer
	theirs, ours string   // that, where the row tells it; else empty
}

var span = regexp.MustCompile("`([^`]+)`")

// differences reads them from the document: the first table, whose first cell holds what is asked.
func differences(t *testing.T) []difference {
	t.Helper()
	text, err := os.ReadFile("../../docs/sentinel-compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "\n## Answers\n")
	section, _, _ := strings.Cut(after, "\n## ")
	var rows []difference
	for line := range strings.SplitSeq(section, "\n") {
		cells := strings.Split(strings.ReplaceAll(line, `\|`, "\x00"), "|")
		if len(cells) != 6 || !strings.Contains(cells[1], "`") {
			continue
		}
		var row difference
		for _, m := range span.FindAllStringSubmatch(cells[1], -1) {
			row.lines = append(row.lines, strings.ReplaceAll(m[1], "\x00", "|"))
		}
		row.theirs, row.ours = literal(cells[2]), literal(cells[3])
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		t.Fatal("the document lists no differences")
	}
	return rows
}

// literal is the text of a cell that is one answer; empty: it says something about the answer.
func literal(cell string) string {
	cell = strings.ReplaceAll(strings.TrimSpace(cell), "\x00", "|")
	if m := span.FindString(cell); m == cell {
		return strings.Trim(m, "`")
	}
	return ""
}

// differ checks that a difference is there, and is the one that the document tells.
func (p pair) differ(t *testing.T, row difference) {
	t.Helper()
	want, got := exchangeLines(t, p.theirs, 2, true, row.lines), exchangeLines(t, p.ours, 2, true, row.lines)
	if slices.Equal(want, got) {
		t.Errorf("%q: both answer the same: take the row out of docs/sentinel-compatibility.md", row.lines)
		return
	}
	for _, side := range []struct {
		who, told string
		answers   []string
	}{{"Sentinel", row.theirs, want}, {"this", row.ours, got}} {
		last := slices.Concat([]string{""}, side.answers)[len(side.answers)]
		if side.told != "" && last != side.told {
			t.Errorf("%q: %s answers %s, and not %s", row.lines, side.who, last, side.told)
		}
	}
}

// compareInfo compares the names of the fields, and what is in the sections.
func (p pair) compareInfo(t *testing.T) {
	t.Helper()
	for _, line := range []string{"INFO", "INFO all", "INFO default", "INFO Everything foo", "INFO server", "INFO clients", "INFO stats cpu", "INFO cpu sentinel stats"} {
		want, got := infoNames(t, p.theirs, line), infoNames(t, p.ours, line)
		got = slices.DeleteFunc(got, func(name string) bool { return name == "picket_version" })
		if !slices.Equal(got, want) {
			t.Errorf("%s:\nSentinel: %q\nthis:     %q", line, want, got)
		}
	}
}

func infoNames(t *testing.T, addr, line string) []string {
	t.Helper()
	var names []string
	for line := range strings.SplitSeq(converse(t, addr, 2, true, []string{line})[0].text, "\r\n") {
		name, _, _ := strings.Cut(line, ":")
		names = append(names, name)
	}
	return names
}

// compareCommands compares what programs are told of each command that a Sentinel has, but for the words that describe it.
func (p pair) compareCommands(t *testing.T) {
	t.Helper()
	var listed [][]string
	for _, row := range differences(t) {
		listed = append(listed, row.lines)
	}
	words := []string{"summary", "complexity", "history", "subcommands"}
	for _, name := range texts(converse(t, p.theirs, 2, true, []string{"COMMAND LIST"})[0]) {
		info, docs := "COMMAND INFO "+name, "COMMAND DOCS "+name
		if slices.ContainsFunc(listed, func(lines []string) bool { return slices.Equal(lines, []string{info}) }) {
			continue
		}
		for _, question := range []string{info, docs} {
			want, got := converse(t, p.theirs, 3, true, []string{question})[0], converse(t, p.ours, 3, true, []string{question})[0]
			if a, b := want.without(words).steady(), got.without(words).steady(); a != b {
				t.Errorf("%s:\nSentinel: %s\nthis:     %s", question, a, b)
			}
		}
	}
}

// without leaves pairs of maps out.
func (v value) without(names []string) value {
	var parts []value
	for i := 0; i < len(v.parts); i++ {
		if v.kind == '%' && i%2 == 0 && slices.Contains(names, v.parts[i].text) {
			i++
			continue
		}
		parts = append(parts, v.parts[i].without(names))
	}
	v.parts = parts
	return v
}

// mirror is a picture of the group, as its first Sentinel sees it.
func mirror(group *lab.SentinelGroup, sentinels []config.Addr) picture.Picture {
	at := group.Redis[0].Addr
	m := picture.Master{Name: "mymaster", Settings: settings("mymaster"), Quorum: 2, Server: redisServer(at, "1", "master")}
	for _, r := range group.Redis[1:] {
		m.Replicas = append(m.Replicas, replicaOf(at, r.Addr, "2"))
	}
	p := healthy()
	p.Masters, p.Agents = []picture.Master{m}, nil
	for i, addr := range sentinels {
		id := fmt.Sprint("agent-", i)
		p.Agents = append(p.Agents, picture.Agent{
			ID: id, MyID: picture.MyID("test", id), Host: addr.Host(), SentinelPort: addr.Port(), Self: i == 0, Up: true,
		})
	}
	return p
}
