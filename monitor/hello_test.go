package monitor

import (
	"bufio"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"picket/config"
)

const runID = "8ac5000000000000000000000000000000000d30"

func TestParseHello(t *testing.T) {
	good := "10.0.0.9,26379," + runID + ",7,mymaster,10.0.0.1,6379,6"
	for name, c := range map[string]struct {
		message string
		want    Foreign
		refused bool
	}{
		"a Sentinel's": {message: good,
			want: Foreign{RunID: runID, Addr: "10.0.0.9:26379", Name: "mymaster", Master: "10.0.0.1:6379", Epoch: 6}},
		"host names": {message: "s-1.example.com,26379," + runID + ",7,m,redis_1,6379,0",
			want: Foreign{RunID: runID, Addr: "s-1.example.com:26379", Name: "m", Master: "redis_1:6379"}},
		"IPv6": {message: "fd00:0::9,26379," + runID + ",7,m,::ffff:10.0.0.1,6379,0",
			want: Foreign{RunID: runID, Addr: "[fd00::9]:26379", Name: "m", Master: "10.0.0.1:6379"}},
		"empty":              {message: "", refused: true},
		"too few fields":     {message: strings.TrimSuffix(good, ",6"), refused: true},
		"too many fields":    {message: good + ",6", refused: true},
		"no port":            {message: strings.Replace(good, ",26379,", ",0,", 1), refused: true},
		"a port too large":   {message: strings.Replace(good, ",6379,", ",65536,", 1), refused: true},
		"a negative epoch":   {message: strings.Replace(good, ",7,", ",-7,", 1), refused: true},
		"a huge epoch":       {message: good + "00000000000000000000", refused: true},
		"a short run id":     {message: strings.Replace(good, runID, runID[1:], 1), refused: true},
		"a strange run id":   {message: strings.Replace(good, "8ac5", "8AC\x1b", 1), refused: true},
		"control characters": {message: strings.Replace(good, "mymaster", "my\x1b[2Jmaster", 1), refused: true},
		"no name":            {message: strings.Replace(good, "mymaster", "", 1), refused: true},
		"a long name":        {message: strings.Replace(good, "mymaster", strings.Repeat("m", 300), 1), refused: true},
		"a long message":     {message: good + strings.Repeat(" ", maxHello), refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseHello("h:1", c.message)
			if c.refused != (err != nil) {
				t.Fatalf("%+v, error %v", got, err)
			}
			if c.want.Server = "h:1"; err == nil && got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func FuzzHello(f *testing.F) {
	f.Add("10.0.0.9,26379," + runID + ",7,mymaster,10.0.0.1,6379,6")
	f.Add("[::1],1," + runID + ",1,a,%,1,1")
	f.Fuzz(func(t *testing.T, message string) {
		h, err := parseHello("h:1", message)
		if err != nil {
			return
		}
		shown := string(h.Addr) + h.Name + h.RunID + string(h.Master)
		if !h.plausible() || strings.ContainsFunc(shown, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q gives %+v", message, h)
		}
	})
}

func FuzzReply(f *testing.F) {
	for _, s := range []string{
		"+OK\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n", "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n", "-NOPERM no\r\n", "$-1\r\n",
		"$9223372036854775807\r\n", "*9999999999\r\n", "*2\r\n*2\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		in := bufio.NewReaderSize(strings.NewReader(string(data)), 2*maxHello)
		for {
			words, err := readReply(in)
			if err != nil {
				return
			}
			if len(words) > maxListWords {
				t.Fatalf("%d words", len(words))
			}
			for _, w := range words {
				if len(w) > 2*maxHello {
					t.Fatalf("a word of %d bytes", len(w))
				}
			}
		}
	})
}

func TestReadReply(t *testing.T) {
	long := strings.Repeat("x", 5*maxHello)
	for name, c := range map[string]struct {
		in   string
		want []string
		err  error
	}{
		"a message":     {"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n", []string{"message", "c", "hi"}, nil},
		"a number":      {"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n", []string{"subscribe", "c", "1"}, nil},
		"nothing":       {"$-1\r\n", []string{""}, nil},
		"an error":      {"-NOPERM no\r\n", nil, replyError("NOPERM no")},
		"a long text":   {"$5120\r\n" + long + "\r\n", []string{long[:maxHello+1]}, nil},
		"a huge length": {"$99999999999999999999\r\n", nil, errReply},
		"a long list":   {"*9\r\n", nil, errReply},
		"a nested list": {"*1\r\n*1\r\n", nil, errReply},
		"an empty line": {"\r\n", nil, errReply},
		"a long line":   {"+" + long + "\r\n", nil, bufio.ErrBufferFull},
		"cut off":       {"*3\r\n$7\r\nmess", nil, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			in := bufio.NewReaderSize(strings.NewReader(c.in+"+next\r\n"), 2*maxHello)
			if c.err == io.ErrUnexpectedEOF {
				in = bufio.NewReaderSize(strings.NewReader(c.in), 2*maxHello)
			}
			got, err := readReply(in)
			if !errors.Is(err, c.err) || err == nil && !reflect.DeepEqual(got, c.want) {
				t.Fatalf("got %q, %v; want %q, %v", got, err, c.want, c.err)
			}
			if err == nil {
				if next, err := readReply(in); err != nil || next[0] != "next" {
					t.Errorf("behind it: %q, %v", next, err)
				}
			}
		})
	}
}

func TestStrangers(t *testing.T) {
	start := time.Unix(1000, 0)
	said := func(id string, epoch uint64) Foreign {
		return Foreign{RunID: id, Addr: "s:1", Name: "m", Master: "h:1", Epoch: epoch, Server: "h:1"}
	}
	list := func(l []Foreign) string {
		var parts []string
		for _, f := range l {
			parts = append(parts, f.RunID+" "+string(rune('0'+f.Epoch))+" "+f.Age.String())
		}
		return strings.Join(parts, ", ")
	}
	known := strangers{}
	for i, c := range []struct {
		f      Foreign
		at     time.Duration
		own    bool
		news   bool
		fresh  string // then
		passed string
	}{
		{said("a", 1), 0, true, true, "a 1 0s", "a 1 0s"},
		{said("a", 1), time.Second, true, false, "a 1 0s", "a 1 0s"},
		{said("b", 1), time.Second, false, true, "a 1 0s, b 1 0s", "a 1 0s"},
		{said("a", 2), 2 * time.Second, false, true, "a 2 0s, b 1 1s", "a 1 1s"},                // a peer knows more of it
		{said("a", 1), 1500 * time.Millisecond, false, false, "a 2 0s, b 1 500ms", "a 1 500ms"}, // overtaken on the way
		{said("a", 2), 3 * time.Second, true, true, "a 2 0s, b 1 2s", "a 2 0s"},
		{said("c", 3), 3 * time.Second, true, true, "a 2 0s, b 1 2s, c 3 0s", "c 3 0s"},
		{said("a", 2), 9 * time.Second, true, false, "a 2 0s, c 3 6s", "c 3 6s"}, // b has fallen silent
		{said("a", 2), 10 * time.Second, true, false, "a 2 0s", "a 2 0s"},        // and c
	} {
		now := start.Add(c.at)
		if got := known.take(c.f, now, c.own); got != c.news {
			t.Errorf("%d: news %v", i, got)
		}
		if got := list(known.fresh(now)); got != c.fresh {
			t.Errorf("%d: known %q, want %q", i, got, c.fresh)
		}
		if got := list(known.own(now)); got != c.passed {
			t.Errorf("%d: passed on %q, want %q", i, got, c.passed)
		}
	}
	for i := range 2 * maxStrangers {
		known.take(said(string(rune('A'+i)), 1), start.Add(10*time.Second), true)
	}
	if n := len(known[config.Addr("h:1")]); n > maxStrangers {
		t.Errorf("%d are remembered", n)
	}
}
