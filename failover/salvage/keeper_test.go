package salvage

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"picket/config"
	"picket/consensus/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lost is what the tests lose: two commands.
var (
	lostStream = append(encoded("SET", "a", "1"), encoded("DEL", "b")...)
	lost       = Lost{
		Master: "m", Server: "10.0.0.1:6379", Epoch: 7, ReplID: strings.Repeat("ab", 20), From: 101, To: 100 + int64(len(lostStream)),
	}
)

// master stands for a server: it answers each command by its name, and records all that it is sent.
type master struct {
	replies map[string]string
	hang    bool // it says nothing
	cuts    int  // so many connections it closes at the first command
	leaves  bool // it closes the connection behind what it has said
	dialled int
	heard   chan string // what was sent on a connection, when it has ended
}

func newMaster(psync string) *master {
	return &master{replies: map[string]string{"PSYNC": psync, "AUTH": "+OK\r\n"}, heard: make(chan string, 10)}
}

func (m *master) dial(context.Context, string, string) (net.Conn, error) {
	m.dialled++
	near, far := net.Pipe()
	go m.serve(far, m.dialled <= m.cuts) // ends with the connection
	return near, nil
}

func (m *master) serve(conn net.Conn, cut bool) {
	var sent bytes.Buffer
	defer func() { m.heard <- sent.String() }()
	defer conn.Close()
	in := bufio.NewReader(io.TeeReader(conn, &sent))
	for {
		c, err := NewDecoder(in, 0, Everything).nextFrom(in)
		if err != nil {
			return
		}
		if m.hang {
			continue
		}
		if cut {
			return
		}
		if _, err := io.WriteString(conn, m.replies[c.Name()]); err != nil {
			return
		}
		if c.Name() == "PSYNC" && (m.leaves || !strings.Contains(m.replies["PSYNC"], "+CONTINUE\r\n")) {
			return
		}
	}
}

// nextFrom reads one command and no byte more.
func (d *Decoder) nextFrom(in *bufio.Reader) (Command, error) {
	d.in = in
	return d.Next()
}

func newKeeper(disk vfs.FS, m *master) *Keeper {
	settings := config.DefaultMaster()
	return NewKeeper(Config{
		FS: disk, Dir: "/d/salvage", MaxBytes: func() int64 { return 1 << 20 }, Dial: m.dial,
		Settings: func(name string) *config.Master {
			return map[string]*config.Master{"m": &settings, "n": &settings}[name]
		},
		Now: func() time.Time { return time.Unix(5, 0) },
	})
}

// kept reads a file back.
func kept(t *testing.T, disk vfs.FS, name string) (Header, []byte) {
	t.Helper()
	data, err := vfs.ReadFile(disk, "", filepath.Join("/d/salvage", name), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	file := bytes.NewReader(data)
	h, err := ReadHeader(file, int64(len(data)))
	if err == nil {
		err = h.Verify(file)
	}
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(h.Stream(file))
	if err != nil {
		t.Fatal(err)
	}
	return h, got
}

func TestKeep(t *testing.T) {
	disk, m := vfs.NewMem(), newMaster("\n+CONTINUE\r\n"+string(lostStream)+"*1\r\n$4\r\nPING\r\n")
	k := newKeeper(disk, m)
	h, name, err := k.Keep(t.Context(), lost)
	if err != nil {
		t.Fatal(err)
	}
	if name != "m/7-10.0.0.1_6379-abababab.salvage" || h.Lost != lost || h.Commands != 2 || h.Keys != 2 {
		t.Errorf("%s: %+v", name, h)
	}
	if read, got := kept(t, disk, name); read != h || !bytes.Equal(got, lostStream) {
		t.Errorf("%+v, %q", read, got)
	}
	if want, got := string(encoded("PSYNC", lost.ReplID, "101")), <-m.heard; got != want {
		t.Errorf("the master was sent %q, want %q and nothing behind it", got, want)
	}
	if again, _, err := k.Keep(t.Context(), lost); err != nil || again != h || m.dialled != 1 {
		t.Errorf("again: %+v, %v, %d connections", again, err, m.dialled)
	}
	disk.Crash(rand.New(rand.NewPCG(1, 1)))
	if _, got := kept(t, disk, name); !bytes.Equal(got, lostStream) {
		t.Errorf("after a crash: %q", got)
	}
}

// TestKeep_Refusals: whatever comes instead of the stretch is an error that says what, in time, and leaves no file behind.
func TestKeep_Refusals(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Keeper, *master, *Lost)
		want   string
	}{
		"a full resync":    {func(_ *Keeper, m *master, _ *Lost) { m.replies["PSYNC"] = "+FULLRESYNC abcd 1\r\n$9\r\n" }, `PSYNC says "+FULLRESYNC`},
		"its link is down": {func(_ *Keeper, m *master, _ *Lost) { m.replies["PSYNC"] = "-NOMASTERLINK Can't SYNC\r\n" }, "NOMASTERLINK"},
		"no password":      {func(_ *Keeper, m *master, _ *Lost) { m.replies["PSYNC"] = "-NOAUTH x\r\n" }, "NOAUTH"},
		"a bad password": {func(k *Keeper, m *master, _ *Lost) {
			k.cfg.Settings("m").Password, m.replies["AUTH"] = "secret", "-WRONGPASS x\r\n"
		}, "WRONGPASS"},
		"another word":        {func(_ *Keeper, m *master, _ *Lost) { m.replies["PSYNC"] = "+CONTINUED\r\nx" }, "CONTINUED"},
		"it ends too early":   {func(_ *Keeper, m *master, l *Lost) { m.leaves, l.To = true, l.To+50 }, "47 of 97 bytes"},
		"a line without end":  {func(_ *Keeper, m *master, _ *Lost) { m.replies["PSYNC"] = strings.Repeat("x", maxReply+1) }, "buffer full"},
		"it cuts each time":   {func(_ *Keeper, m *master, _ *Lost) { m.cuts = 100 }, "ask for the history: EOF"},
		"it hangs":            {func(_ *Keeper, m *master, _ *Lost) { m.hang = true }, "ask for the history"},
		"it stops in between": {func(_ *Keeper, _ *master, l *Lost) { l.To += 50 }, "copy the stream"},
		"the budget": {func(k *Keeper, _ *master, _ *Lost) {
			k.cfg.MaxBytes = func() int64 { return headerBytes + lost.Size() - 1 }
		}, "salvage.max-bytes"},
		"another master": {func(_ *Keeper, _ *master, l *Lost) { l.Master = "other" }, `no master "other"`},
		"a path":         {func(_ *Keeper, _ *master, l *Lost) { l.Master = ".." }, "can't be kept"},
		"no history":     {func(_ *Keeper, _ *master, l *Lost) { l.ReplID = "" }, "can't be kept"},
	} {
		t.Run(name, func(t *testing.T) {
			disk, m, l := vfs.NewMem(), newMaster("+CONTINUE\r\n"+string(lostStream)), lost
			k := newKeeper(disk, m)
			c.change(k, m, &l)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			_, _, err := k.Keep(ctx, l)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want it to say %s", err, c.want)
			}
			if m.cuts > 0 && m.dialled != maxCuts+1 {
				t.Errorf("%d connections were made", m.dialled)
			}
			if names, _ := disk.ReadDir("", "/d/salvage/m"); len(names) > 0 {
				t.Errorf("left behind: %v", names)
			}
		})
	}
}

func TestKeep_Authenticates(t *testing.T) {
	for user, want := range map[string]string{
		"":       string(encoded("AUTH", "secret")),
		"picket": string(encoded("AUTH", "picket", "secret")),
	} {
		m := newMaster("+CONTINUE\r\n" + string(lostStream))
		k := newKeeper(vfs.NewMem(), m)
		k.cfg.Settings("m").Username, k.cfg.Settings("m").Password = user, "secret"
		if _, _, err := k.Keep(t.Context(), lost); err != nil {
			t.Fatal(err)
		}
		if got := <-m.heard; !strings.HasPrefix(got, want) {
			t.Errorf("the master was sent %q, want %q first", got, want)
		}
	}
}

// TestKeep_OutlivesAFence: what cuts a master's clients cuts the connection that is not yet a replica's, too.
func TestKeep_OutlivesAFence(t *testing.T) {
	for _, password := range []string{"", "secret"} {
		disk, m := vfs.NewMem(), newMaster("+CONTINUE\r\n"+string(lostStream))
		m.cuts = 3
		k := newKeeper(disk, m)
		k.cfg.Settings("m").Password = config.Secret(password)
		_, name, err := k.Keep(t.Context(), lost)
		if err != nil || m.dialled != 4 {
			t.Fatalf("%v, %d connections", err, m.dialled)
		}
		if _, got := kept(t, disk, name); !bytes.Equal(got, lostStream) {
			t.Errorf("%q was kept, want %q", got, lostStream)
		}
	}
}

// TestKeep_TheBudgetIsForAllFiles: of all masters; one that takes the place of its own beginning does not count twice.
func TestKeep_TheBudgetIsForAllFiles(t *testing.T) {
	disk, m := vfs.NewMem(), newMaster("+CONTINUE\r\n"+string(lostStream)+string(lostStream))
	k := newKeeper(disk, m)
	k.cfg.MaxBytes = func() int64 { return headerBytes + lost.Size() + 10 }
	if _, _, err := k.Keep(t.Context(), lost); err != nil {
		t.Fatal(err)
	}
	second := lost
	second.Master = "n"
	if _, _, err := k.Keep(t.Context(), second); !errors.Is(err, ErrFull) {
		t.Errorf("a second file: %v", err)
	}
	longer := lost
	longer.To += 10
	if h, name, err := k.Keep(t.Context(), longer); err != nil || h.Size() != lost.Size()+10 || h.Undecoded != 10 {
		t.Errorf("more of the same: %+v, %s, %v", h, name, err)
	}
}

// TestKeep_OldOrNewWhateverFails fails each call to the disk, and crashes: a file is there whole, or not at all, and the next try succeeds.
func TestKeep_OldOrNewWhateverFails(t *testing.T) {
	for n := 0; ; n++ {
		disk, m := vfs.NewMem(), newMaster("+CONTINUE\r\n"+string(lostStream))
		k := newKeeper(disk, m)
		calls := n
		failed := false
		disk.Fail(func(_, _, _ string) error {
			if calls--; calls == -1 {
				failed = true
				return vfs.ErrInjected
			}
			return nil
		})
		_, name, err := k.Keep(t.Context(), lost)
		disk.Fail(nil)
		if !failed {
			if n < 8 {
				t.Fatalf("only %d calls to the disk", n)
			}
			return
		}
		disk.Crash(rand.New(rand.NewPCG(uint64(n), 1)))
		if err == nil {
			if _, got := kept(t, disk, name); !bytes.Equal(got, lostStream) {
				t.Fatalf("call %d fails unnoticed: %q", n, got)
			}
		}
		if _, name, err = newKeeper(disk, m).Keep(t.Context(), lost); err != nil {
			t.Fatalf("after call %d has failed: %v", n, err)
		}
		if _, got := kept(t, disk, name); !bytes.Equal(got, lostStream) {
			t.Fatalf("after call %d has failed: %q", n, got)
		}
		if names, _ := disk.ReadDir("", "/d/salvage/m"); len(names) != 1 {
			t.Fatalf("after call %d has failed: %v", n, names)
		}
	}
}

// TestVerify_FindsEveryFlippedBit of the stream and of what the header says.
func TestVerify_FindsEveryFlippedBit(t *testing.T) {
	disk, m := vfs.NewMem(), newMaster("+CONTINUE\r\n"+string(lostStream))
	_, name, err := newKeeper(disk, m).Keep(t.Context(), lost)
	if err != nil {
		t.Fatal(err)
	}
	data, err := vfs.ReadFile(disk, "", filepath.Join("/d/salvage", name), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	end := bytes.IndexByte(data[len(magic):headerBytes], '}') + len(magic) + 1
	for at := range data {
		if at >= end && at < headerBytes {
			continue // only fills up
		}
		for bit := range 8 {
			damaged := bytes.Clone(data)
			damaged[at] ^= 1 << bit
			h, err := ReadHeader(bytes.NewReader(damaged), int64(len(data)))
			if err == nil {
				err = h.Verify(bytes.NewReader(damaged))
			}
			if err == nil {
				t.Fatalf("bit %d of byte %d: %q", bit, at, damaged[max(0, at-5):at+5])
			}
		}
	}
}

// FuzzReadHeader reads anything as a file.
func FuzzReadHeader(f *testing.F) {
	h := Header{Lost: lost}
	block, err := h.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(block, lostStream...))
	f.Add([]byte(magic))
	f.Add([]byte(magic + `{"from":-9223372036854775808,"to":9223372036854775807}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		file := bytes.NewReader(data)
		h, err := ReadHeader(file, int64(len(data)))
		if err != nil {
			return
		}
		if n, err := io.Copy(io.Discard, h.Stream(file)); err != nil || n != h.Size() {
			t.Fatalf("%+v: %d bytes, %v", h, n, err)
		}
	})
}
