package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"picket/sentinel/lab"
)

// member is a library's program at work.
type member struct {
	library string
	process *lab.Process
	read    int64     // bytes of its output
	acked   []lab.Ack // that it has printed so far
}

// fleet is the programs of all libraries, writing to one group.
type fleet []*member

// launch starts the programs.
func launch(l *lab.Lab, found []library, sentinels []string) (fleet, error) {
	var f fleet
	for _, lib := range found {
		command := append(append(append([]string(nil), lib.command...), lab.MasterName), sentinels...)
		m := &member{library: lib.name, process: l.Command("client-"+lib.name, command...)}
		if err := m.process.Start(); err != nil {
			return nil, err
		}
		f = append(f, m)
	}
	return f, nil
}

// stop ends the programs.
func (f fleet) stop() {
	for _, m := range f {
		m.process.Kill()
	}
}

// enough is how many acknowledged writes show that a program writes.
const enough = 20

// writing waits until every program has had enough writes acknowledged after t.
func (f fleet) writing(ctx context.Context, t time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for _, m := range f {
		for {
			if err := m.catchUp(); err != nil {
				return err
			}
			n := m.since(t)
			if n >= enough {
				break
			}
			select {
			case <-poll.C:
			case <-ctx.Done():
				return fmt.Errorf("%s had %d writes acknowledged, want %d: %w", m.library, n, enough, ctx.Err())
			}
		}
	}
	return nil
}

// since counts the writes that were acknowledged after t.
func (m *member) since(t time.Time) (n int) {
	for n < len(m.acked) && m.acked[len(m.acked)-1-n].At.After(t) {
		n++
	}
	return n
}

// catchUp reads what the program has printed since the last time.
func (m *member) catchUp() error {
	if !m.process.Running() {
		return fmt.Errorf("the program of %s has ended: %s", m.library, m.process.Log)
	}
	file, err := os.Open(m.process.Log)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Seek(m.read, io.SeekStart); err != nil {
		return err
	}
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF { // what is there of a line is read again when it is whole
			return nil
		}
		if err != nil {
			return err
		}
		m.read += int64(len(line))
		if ack, ok := parse(line); ok {
			m.acked = append(m.acked, ack)
		}
	}
}

// parse reads a line of a program; most others are errors that the library has given it.
func parse(line string) (lab.Ack, bool) {
	var seconds float64
	var key string
	if n, err := fmt.Sscanf(strings.TrimSpace(line), "acked %f %s", &seconds, &key); n != 2 || err != nil {
		return lab.Ack{}, false
	}
	return lab.Ack{Key: key, At: time.UnixMicro(int64(seconds * 1e6))}, true
}
