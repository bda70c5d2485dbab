package acl

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// some is a catalogue like that of the port.
func some() *Catalogue {
	part := func(name string, categories ...string) Command { return Command{Name: name, Categories: categories} }
	return NewCatalogue([]Command{
		{Name: "auth", Categories: []string{"fast", "connection"}, Open: true},
		{Name: "ping", Categories: []string{"fast", "connection"}},
		{Name: "publish", Categories: []string{"pubsub", "fast"}},
		{Name: "subscribe", Categories: []string{"pubsub", "slow"}},
		{Name: "psubscribe", Categories: []string{"pubsub", "slow"}},
		{Name: "client", Categories: []string{"slow"}, Parts: []Command{
			part("client|id", "slow", "connection"), part("client|kill", "admin", "slow", "dangerous", "connection"),
		}},
		{Name: "sentinel", Categories: []string{"admin", "slow", "dangerous"}, Parts: []Command{
			part("sentinel|help", "slow"), part("sentinel|masters", "admin", "slow", "dangerous"),
		}},
	})
}

const sum = "30c952fab122c3f9759f02a6d95c3758b246b4fee239957b2d4fee46e26170c4" // of "pw"

func TestSet_Line(t *testing.T) {
	for _, c := range []struct{ rules, want string }{
		{"", "user u off resetchannels -@all"},
		{"on >pw ~* &* +@all", "user u on #" + sum + " ~* &* +@all"},
		{"on #" + sum + " >pw >pw", "user u on #" + sum + " resetchannels -@all"},
		{">pw <pw", "user u off resetchannels -@all"},
		{">pw !" + sum, "user u off resetchannels -@all"},
		{">pw nopass", "user u off nopass resetchannels -@all"},
		{"nopass >pw", "user u off #" + sum + " resetchannels -@all"},
		{">pw resetpass", "user u off resetchannels -@all"},
		{"ON +PING +@Admin +CLIENT|ID", "user u on resetchannels -@all +ping +@admin +client|id"},
		{"+@all -@dangerous +sentinel|masters", "user u off resetchannels +@all -@dangerous +sentinel|masters"},
		{"+client|id +client|kill +client", "user u off resetchannels -@all +client"},
		{"+ping -ping +ping -@all", "user u off resetchannels -@all"},
		{"+ping|foo", "user u off resetchannels -@all +ping|foo"},
		{"+ping|foo +ping", "user u off resetchannels -@all +ping"},
		{"~a ~a %R~b %W~b %RW~c %w~d", "user u off ~a ~b ~c %W~d resetchannels -@all"},
		{"~a allkeys resetkeys", "user u off resetchannels -@all"},
		{"&a &b* &a", "user u off resetchannels &a &b* -@all"},
		{"&a allchannels", "user u off &* -@all"},
		{"allchannels resetchannels", "user u off resetchannels -@all"},
		{"allcommands nocommands", "user u off resetchannels -@all"},
		{"skip-sanitize-payload clearselectors", "user u off skip-sanitize-payload resetchannels -@all"},
		{"on nopass +@all ~* reset", "user u off sanitize-payload resetchannels -@all"},
	} {
		l := NewList(some())
		if err := l.Set("u", strings.Fields(c.rules)...); err != nil {
			t.Errorf("%s: %v", c.rules, err)
			continue
		}
		if got := l.User("u").Line(); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.rules, got, c.want)
		}
		// A line makes the same user again.
		if err := l.Replace("u", strings.Fields(c.want)[2:]...); err != nil || l.User("u").Line() != c.want {
			t.Errorf("%s comes back as %s, %v", c.want, l.User("u").Line(), err)
		}
	}
}

func TestSet_Errors(t *testing.T) {
	for rules, want := range map[string]string{
		"foo": syntaxError, "+foo": unknownName, "+@foo": unknownName, "+client|foo": unknownName, "-client|foo": unknownName,
		"-ping|foo": unknownName, "+client|id|x": firstOfPart, "+ping|": syntaxError, "+client|": syntaxError, "+|id": unknownName, "+": unknownName,
		"-": unknownName, "+@": unknownName, "@all": syntaxError, "<pw": noSuchPassword, "!" + sum: noSuchPassword, "#abc": badSum, "!abc": badSum,
		"#" + strings.ToUpper(sum): badSum, "%~a": syntaxError, "%X~a": syntaxError, "%RR~a": syntaxError, "%R": syntaxError, "~* ~a": afterAllKeys,
		"&* &a": afterAllChannels, "(+ping)": noSelectors,
	} {
		l := NewList(some())
		err := l.Set("u", append([]string{"on"}, strings.Fields(rules)...)...)
		var rule *RuleError
		if !errors.As(err, &rule) || rule.Text != want {
			t.Errorf("%s: %v, want %s", rules, err, want)
		}
		if l.User("u") != nil {
			t.Errorf("%s: the user was made all the same", rules)
		}
	}
	l := NewList(some())
	for _, rule := range []string{"&a b", "~a\tb"} {
		if err := l.Set("u", rule); err == nil {
			t.Errorf("%q is accepted", rule)
		}
	}
	if err := l.Set("a b"); !errors.Is(err, ErrName) {
		t.Errorf("a name with a space: %v", err)
	}
}

func TestCheck(t *testing.T) {
	c := some()
	request := func(command string, args ...string) Request { return Request{Command: command, Args: args} }
	hear := func(command string, channels ...string) Request {
		return Request{Command: command, Channels: channels, Patterns: command == "psubscribe"}
	}
	for _, tc := range []struct {
		rules   string
		request Request
		denied  string
	}{
		{"", request("auth"), ""},
		{"+@all -auth", request("auth"), ""},
		{"", request("ping"), "ping"},
		{"+ping", request("ping"), ""},
		{"+@all -ping", request("ping"), "ping"},
		{"+@fast", request("ping"), ""},
		{"+@connection", request("client|kill"), ""},
		{"+@connection", request("client"), "client"},
		{"+@slow", request("client|kill"), ""},
		{"+client", request("client|id"), ""},
		{"+client -client|id", request("client|id"), "client|id"},
		{"+client|id", request("client|kill"), "client|kill"},
		{"+@admin", request("sentinel|help"), ""},
		{"+@all -@admin", request("sentinel|help"), "sentinel|help"},
		{"+ping|foo", request("ping"), "ping"},
		{"+ping|foo", request("ping", "bar"), "ping"},
		{"+ping|foo", request("ping", "FOO"), ""},
		{"+ping|foo -ping", request("ping", "foo"), "ping"},
		{"+@all", hear("subscribe", "a"), "a"},
		{"+@all &a*", hear("subscribe", "ab", "a", "b"), "b"},
		{"+@all &a*", hear("psubscribe", "a*"), ""},
		{"+@all &a*", hear("psubscribe", "ab*"), "ab*"},
		{"+@all &*", hear("psubscribe", "ab*"), ""},
		{"+@all", request("nothing"), "nothing"},
	} {
		l := NewList(c)
		if err := l.Set("u", strings.Fields(tc.rules)...); err != nil {
			t.Fatal(err)
		}
		got := ""
		if d := l.Check(l.User("u"), tc.request); d != nil {
			got = d.Object
		}
		if got != tc.denied {
			t.Errorf("%q, %+v: %q is denied, want %q", tc.rules, tc.request, got, tc.denied)
		}
	}
}

// TestSet_ChangesNoUserThatSomebodyHas: users are handed out, and read without a lock.
func TestSet_ChangesNoUserThatSomebodyHas(t *testing.T) {
	l := NewList(some())
	if err := l.Set("u", strings.Fields("on >a &x ~k +ping +publish|x")...); err != nil {
		t.Fatal(err)
	}
	before := l.User("u")
	line := before.Line()
	if err := l.Set("u", strings.Fields("off >b <a &y ~l %R~k -ping +publish|y +@all")...); err != nil {
		t.Fatal(err)
	}
	if before.Line() != line || l.Check(before, Request{Command: "ping"}) != nil {
		t.Errorf("it was %s and is %s", line, before.Line())
	}
}

func TestAuthenticate(t *testing.T) {
	l := NewList(some())
	for name, rules := range map[string]string{"a": "on >one >two", "off": "off >one", "open": "on nopass", "none": "on"} {
		if err := l.Set(name, strings.Fields(rules)...); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, password string
		want           bool
	}{
		{"a", "one", true}, {"a", "two", true}, {"a", "three", false}, {"a", "", false}, {"off", "one", false}, {"open", "any", true},
		{"none", "", false}, {"nobody", "one", false}, {Default, "any", true}, {"nobody", "", false},
	} {
		if got := l.Authenticate(c.name, c.password); got != c.want {
			t.Errorf("%s with %q: %v", c.name, c.password, got)
		}
	}
}

func TestDelete(t *testing.T) {
	l := NewList(some())
	_ = l.Set("a") // its name is valid
	if _, err := l.Delete([]string{"a", Default}); !errors.Is(err, ErrDefault) || l.User("a") == nil {
		t.Errorf("%v; the others must stay", err)
	}
	if gone, err := l.Delete([]string{"a", "nobody"}); err != nil || fmt.Sprint(gone) != "[a]" {
		t.Errorf("%v, %v", gone, err)
	}
}

func TestBounds(t *testing.T) {
	l := NewList(some())
	if err := l.Set("u", "&"+strings.Repeat("x", maxUser)); !errors.Is(err, ErrTooLong) {
		t.Errorf("a long rule: %v", err)
	}
	if err := l.Set(strings.Repeat("u", maxName+1)); !errors.Is(err, ErrLongName) {
		t.Errorf("a long name: %v", err)
	}
	for i := range maxUsers {
		if err := l.Set(fmt.Sprint("u", i)); (err != nil) != (i == maxUsers-1) || err != nil && !errors.Is(err, ErrTooMany) {
			t.Fatalf("user %d: %v", i, err)
		}
	}
	if err := l.Set("u0", "on"); err != nil {
		t.Errorf("a change of one that is there: %v", err)
	}
	var log Log
	for i := range 3 * maxLog {
		log.Add(Entry{Denial: Denial{ForCommand, fmt.Sprint(i)}, User: strings.Repeat("x", 2*maxLogText)})
	}
	if all := log.Last(1 << 30); len(all) != maxLog || all[0].Object != fmt.Sprint(3*maxLog-1) || len(all[0].User) != maxLogText {
		t.Errorf("%d entries, the first is of %s", len(all), all[0].Object)
	}
}

func TestLog_CountsWhatIsRepeated(t *testing.T) {
	var log Log
	at := time.Unix(1000, 0)
	add := func(object string, after time.Duration) {
		log.Add(Entry{Denial: Denial{ForCommand, object}, User: "u", Client: fmt.Sprint(after), At: at.Add(after)})
	}
	add("ping", 0)
	add("info", time.Second)
	add("ping", 2*time.Second)
	add("ping", 2*time.Minute)
	var told []string
	for _, e := range log.Last(10) {
		told = append(told, fmt.Sprintf("%s %d %s", e.Object, e.Count, e.Client))
	}
	if got := strings.Join(told, ", "); got != "ping 1 2m0s, ping 2 2s, info 1 1s" {
		t.Error(got)
	}
	if log.Last(-1) == nil || len(log.Last(1)) != 1 {
		t.Error("not as many as asked for")
	}
	log.Reset()
	if len(log.Last(10)) != 0 {
		t.Error("it is not empty")
	}
}

func parse(text string) (*List, error) {
	l := NewList(some())
	return l, l.Parse("/f", text)
}

func TestParse(t *testing.T) {
	l, err := parse("\nuser a on >pw +@all\r\n  user default on >pw \nuser b off\n")
	if err != nil {
		t.Fatal(err)
	}
	want := "user a on #" + sum + " resetchannels +@all\nuser b off resetchannels -@all\nuser default on #" + sum + " resetchannels -@all\n"
	if l.Text() != want {
		t.Errorf("got\n%swant\n%s", l.Text(), want)
	}
	if again, err := parse(l.Text()); err != nil || again.Text() != want {
		t.Errorf("read again: %v\n%s", err, again.Text())
	}
	_, err = parse("user a on\nfoo bar\nuser b +get\nuser b on\nuser a on\nuser\nuser c foo\n#x")
	if want := "/f:2 should start with user keyword followed by the username. /f:3: Error in applying operation '+get': " + unknownName + ". " +
		"WARNING: Duplicate user 'b' found on line 4. WARNING: Duplicate user 'a' found on line 5. " +
		"/f:6 should start with user keyword followed by the username. /f:7: Syntax error. /f:8 should start with user keyword followed by the username. " +
		"WARNING: ACL errors detected, no change to the previously active ACL rules was performed"; err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// FuzzRules gives any rules: they are refused, or make a user whose line makes the same user again.
func FuzzRules(f *testing.F) {
	for _, seed := range []string{
		"on >secret ~* &* +@all -@dangerous", "%R~a %W~a %RW~b &x +ping|a +client|id -client", "reset nopass #" + sum + " !" + sum + " resetpass",
		"(+ping ~x)", "+|", "-@", "%", "&", "~", "+client|id|x", "<", "!",
	} {
		f.Add(seed)
	}
	c := some()
	f.Fuzz(func(t *testing.T, text string) {
		l := NewList(c)
		if err := l.Set("u", strings.Split(text, " ")...); err != nil {
			if l.User("u") != nil {
				t.Fatal("refused, and made")
			}
			return
		}
		line := l.User("u").Line()
		again, err := parse(line)
		if err != nil || again.User("u").Line() != line || len(line) > maxUser {
			t.Fatalf("%q becomes %v", line, err)
		}
		for name := range c.byName {
			r := Request{Command: name, Channels: []string{text}}
			if a, b := c.Check(l.User("u"), r), c.Check(again.User("u"), r); (a == nil) != (b == nil) {
				t.Fatalf("%q: %v, and read again %v", line, a, b)
			}
		}
	})
}
