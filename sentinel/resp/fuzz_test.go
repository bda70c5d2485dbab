package resp

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"picket/config"
)

// FuzzRequests reads anything: it must end with an error, and never hold more than its bounds.
func FuzzRequests(f *testing.F) {
	for _, seed := range []string{
		"PING\r\n", "*1\r\n$4\r\nPING\r\n", "*2\r\n$4\r\nPING\r\n$1\r\nx\r\n", "*-1\r\n", "*0\r\n", "*9223372036854775807\r\n",
		"*1\r\n$9223372036854775807\r\n", "*1\r\n$-1\r\n", "$5\r\n", "\"a\\x4", "'a\\'b' c\n", "\r\n\r\n", "*1\r\n\r\n", "*1\n$1\na\n\n",
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, guest bool) {
		l := memberLimits
		if guest {
			l = guestLimits
		}
		r := newRequests(bytes.NewReader(data))
		for {
			args, err := r.next(l)
			if err != nil {
				return
			}
			size := 0
			for _, arg := range args {
				size += len(arg)
			}
			if size > max(l.bytes, maxLine) || len(args) > max(l.args, maxLine) {
				t.Fatalf("%d arguments of %d bytes", len(args), size)
			}
		}
	})
}

// FuzzCommands gives any arguments to any command, in both protocols. Whatever the answer is, it must be
// well-formed.
func FuzzCommands(f *testing.F) {
	for name := range newTable().byName {
		f.Add(strings.ReplaceAll(name, "|", "\n"), false)
		f.Add(strings.ReplaceAll(name, "|", "\n")+"\ncache", true)
	}
	f.Add("SENTINEL\nIS-MASTER-DOWN-BY-ADDR\n10.0.0.1\n6379\n0\n*", true)
	f.Add("HELLO\n3\nAUTH\ndefault\nsecret\nSETNAME\nme", true)
	f.Add("CLIENT\nSETINFO\nlib-name\n\x00", false)
	f.Add("ACL\nSETUSER\nbob\non\n>secret\n%R~k*\n&c*\n+@all\n-client|kill\n+ping|x\n!0", true)
	f.Add("CLIENT\nKILL\nID\n1\nADDR\n1.2.3.4:5\nTYPE\nnormal\nSKIPME\nno", false)
	f.Add("CLIENT\nTRACKING\non\nBCAST\nPREFIX\na\nPREFIX\nb\nREDIRECT\n1", true)
	f.Add("SHUTDOWN\nNOW\nFORCE", false)
	f.Fuzz(func(t *testing.T, text string, resp3 bool) {
		if len(text) > maxLine {
			t.Skip()
		}
		backend := newFake(promoting())
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		backend.shutdown = func(bool) { cancel() }
		s := newTestServer(t, Config{Backend: backend, Version: "v1"})
		conn, peer := net.Pipe()
		defer conn.Close()
		defer peer.Close()
		c := newClient(s, conn, 1)
		c.member, c.reply.resp3 = true, resp3
		c.dispatch(ctx, strings.Split(text, "\n"))
		c.out.add(c.reply.buf)
		c.out.end()
		out, _ := c.out.take(nil)
		in := bufio.NewReader(bytes.NewReader(out))
		for {
			_, err := read(in)
			if err == io.EOF { // not wrapped: between replies
				return
			}
			if err != nil {
				t.Fatalf("%v in %q", err, out)
			}
		}
	})
}

// FuzzConnection sends anything over a connection. The server ends it, or answers, but never hangs or crashes.
func FuzzConnection(f *testing.F) {
	f.Add([]byte("*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\nPING\r\n"), "")
	f.Add([]byte("HELLO 3\r\nPSUBSCRIBE *\r\nSENTINEL MASTERS\r\nRESET\r\n"), "secret")
	f.Add([]byte("AUTH secret\r\n*1\r\n$99999\r\n"), "secret")
	s := map[string]*Server{"": start(f, Config{}), "secret": start(f, Config{Door: config.Door{Password: "secret"}})}
	f.Fuzz(func(t *testing.T, data []byte, password string) {
		server := s[password]
		if server == nil || len(data) > 64<<10 {
			t.Skip()
		}
		conn := dial(t, server.Addr().String()).(*net.TCPConn)
		go func() { // ends when all is sent, or the server has had enough
			_, _ = conn.Write(data)
			_ = conn.CloseWrite()
		}()
		begun := time.Now()
		_, _ = io.Copy(io.Discard, conn)
		if took := time.Since(begun); took > patience/2 {
			t.Fatalf("took %s", took)
		}
	})
}
