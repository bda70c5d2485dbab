package failover

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"picket/config"
	"picket/monitor"
)

// blindFence is for a server that does not answer: it finds the commands when it wakes up, behind what clients have sent before. A client library
// greets a server first and waits for the answer, so they are written to a connection of their own, the password before them: the kernel takes it
// for a process that hangs. Its former settings are what was seen last. Where TLS is wanted the process itself has to answer; then a
// connection must do that was made before, by an action that reads.
func (s *servers) blindFence(ctx context.Context, master string, a Action) error {
	is := fenceSettings{max(0, a.Fence), fenceMaxLag}
	m := s.cfg.Settings(master)
	switch c, err := s.client(master, a.Server); {
	case err != nil:
		return err
	case m.TLS.Enabled:
		_, err = commandAndInfo(ctx, c, a.Server, command("CONFIG", "SET", minReplicas, strconv.FormatInt(is.fenced().replicas, 10)))
		return err
	}
	dial := s.cfg.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	conn, err := dial(ctx, "tcp", string(a.Server))
	if err != nil {
		return err
	}
	defer conn.Close() // what was written arrives all the same
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline) // a connection that can't be used says so below
	}
	commands := blindly(m, is.fenced().replicas)
	if _, err := conn.Write(bytes.Join(commands, nil)); err != nil {
		return err
	}
	return accepted(conn, len(commands))
}

// blindly gives the commands as they go over the wire.
func blindly(m *config.Master, replicas int64) [][]byte {
	auth := monitor.Renamed(m, "AUTH")
	set := wire(monitor.Renamed(m, "CONFIG"), "SET", minReplicas, strconv.FormatInt(replicas, 10))
	switch password := string(m.Password); {
	case password == "":
		return [][]byte{set}
	case m.Username == "":
		return [][]byte{wire(auth, password), set}
	default:
		return [][]byte{wire(auth, m.Username, password), set}
	}
}

// wire writes a command as servers read it.
func wire(words ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b.Bytes()
}

// maxAnswer bounds what a server says to one of the commands, in bytes.
const maxAnswer = 512

// accepted reads one line for each command.
func accepted(conn net.Conn, commands int) error {
	in := bufio.NewReaderSize(conn, maxAnswer)
	for range commands {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if text := strings.TrimSpace(string(line)); strings.HasPrefix(text, "-") && !monitor.NeedsNoPassword(text) {
			return fmt.Errorf("it says %s", text[1:])
		}
	}
	return nil
}
