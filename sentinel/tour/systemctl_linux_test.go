package tour

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A machine has no systemd of its own. This test's program stands in for the little of it that the document uses: it starts a unit's
// ExecStart as the unit's user, waits until it says that it is ready, signals it, and shows its log.

// services is what systemctl and journalctl do on a machine.
func services(args []string) error {
	if filepath.Base(args[0]) == "journalctl" {
		return journal(args[1:])
	}
	var words []string
	now := false
	for _, a := range args[1:] {
		now = now || a == "--now"
		if !strings.HasPrefix(a, "-") {
			words = append(words, a)
		}
	}
	if len(words) == 0 {
		return errors.New("systemctl: which verb?")
	}
	verb := words[0]
	for _, name := range words[1:] {
		u, err := readUnit(strings.TrimSuffix(name, ".service"))
		if err != nil {
			return err
		}
		if err := u.do(verb, now); err != nil {
			return fmt.Errorf("%s %s: %w", verb, name, err)
		}
	}
	return nil
}

// unit is a service: its file and the drop-ins, the last word of each key.
type unit struct {
	name string
	keys map[string]string
}

func readUnit(name string) (unit, error) {
	u := unit{name: name, keys: map[string]string{}}
	var files []string
	for _, dir := range []string{"/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"} {
		if file := filepath.Join(dir, name+".service"); exists(file) {
			files = append(files, file)
			break
		}
	}
	if len(files) == 0 {
		return u, fmt.Errorf("unit %s.service could not be found", name)
	}
	more, err := filepath.Glob("/etc/systemd/system/" + name + ".service.d/*.conf")
	if err != nil {
		return u, err
	}
	for _, file := range append(files, more...) {
		text, err := os.ReadFile(file)
		if err != nil {
			return u, err
		}
		for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", " ")) {
			if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(key, "#") {
				u.keys[key] = value
			}
		}
	}
	return u, nil
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return !errors.Is(err, fs.ErrNotExist)
}

func (u unit) do(verb string, now bool) error {
	switch {
	case verb == "start", verb == "enable" && now:
		return u.start()
	case verb == "stop", verb == "disable" && now:
		return u.stop()
	case verb == "restart":
		if err := u.stop(); err != nil {
			return err
		}
		return u.start()
	case verb == "reload":
		return u.reload()
	case verb == "is-active":
		if !u.alive() {
			return errors.New("inactive")
		}
		fmt.Println("active")
		return nil
	case verb == "enable", verb == "disable", verb == "daemon-reload":
		return nil
	}
	return errors.New("this stand-in for systemctl does not know the verb")
}

func (u unit) pidFile() string { return "/run/unit-" + u.name + ".pid" }
func (u unit) log() string     { return "/var/log/unit-" + u.name + ".log" }

func (u unit) pid() int {
	text, err := os.ReadFile(u.pidFile())
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(string(text)) // this program has written it
	return pid
}

func (u unit) alive() bool {
	pid := u.pid()
	return pid != 0 && syscall.Kill(pid, 0) == nil
}

// account is whom the unit runs as, and the directories that systemd makes for it.
func (u unit) account() (*syscall.Credential, error) {
	var c *syscall.Credential
	switch name := u.keys["User"]; {
	case name != "":
		found, err := user.Lookup(name)
		if err != nil {
			return nil, err
		}
		uid, _ := strconv.ParseUint(found.Uid, 10, 32)
		gid, _ := strconv.ParseUint(found.Gid, 10, 32)
		c = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	case u.keys["DynamicUser"] == "yes":
		c = &syscall.Credential{Uid: 61184, Gid: 61184} // the first of those that systemd gives
	}
	for key, top := range map[string]string{"StateDirectory": "/var/lib/", "RuntimeDirectory": "/run/", "LogsDirectory": "/var/log/"} {
		for _, name := range strings.Fields(u.keys[key]) {
			mode, err := strconv.ParseUint(u.keys[key+"Mode"], 8, 32)
			if err != nil {
				mode = 0o755
			}
			if err := os.MkdirAll(top+name, fs.FileMode(mode)&fs.ModePerm); err != nil {
				return nil, err
			}
			if c != nil {
				if err := os.Chown(top+name, int(c.Uid), int(c.Gid)); err != nil {
					return nil, err
				}
			}
		}
	}
	return c, nil
}

// notifySocket takes what the service says of itself.
func (u unit) notifySocket() (*net.UnixConn, error) {
	path := "/run/unit-" + u.name + ".notify"
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	return conn, errors.Join(os.Chmod(path, 0o777), conn.SetReadDeadline(time.Now().Add(30*time.Second)))
}

// ready waits for the service's word.
func (u unit) ready(conn *net.UnixConn) error {
	if kind := u.keys["Type"]; kind != "notify" && kind != "notify-reload" {
		return nil
	}
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			text, _ := os.ReadFile(u.log()) // what there is of it
			return fmt.Errorf("it did not say READY=1: %w\n%s", err, text)
		}
		if slices.Contains(strings.Split(string(buf[:n]), "\n"), "READY=1") {
			return nil
		}
	}
}

func (u unit) start() error {
	if u.alive() {
		return nil
	}
	account, err := u.account()
	if err != nil {
		return err
	}
	conn, err := u.notifySocket()
	if err != nil {
		return err
	}
	defer conn.Close()
	out, err := os.OpenFile(u.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	argv := strings.Fields(u.keys["ExecStart"])
	child, err := os.StartProcess(argv[0], argv, &os.ProcAttr{
		Dir: "/", Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin", "NOTIFY_SOCKET=" + conn.LocalAddr().String()},
		Files: []*os.File{nil, out, out}, Sys: &syscall.SysProcAttr{Setsid: true, Credential: account},
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(u.pidFile(), strconv.AppendInt(nil, int64(child.Pid), 10), 0o644); err != nil { //nolint:gosec // no secret
		return err
	}
	ended := make(chan struct{})
	go func() { // ends with the child, or with this program, which leaves the child to the first process
		_, _ = child.Wait()
		close(ended)
	}()
	go func() {
		<-ended
		_ = conn.SetReadDeadline(time.Now()) // nobody will say that he is ready
	}()
	return u.ready(conn)
}

func (u unit) stop() error {
	pid := u.pid()
	if !u.alive() {
		return nil
	}
	conn, err := u.notifySocket() // it says that it stops
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return err
	}
	for deadline := time.Now().Add(30 * time.Second); u.alive(); time.Sleep(5 * time.Millisecond) { // another's child can only be polled
		if time.Now().After(deadline) {
			return errors.New("it did not end within 30 s")
		}
	}
	return nil
}

// reload signals as ExecReload or Type=notify-reload has it, and waits until the service is ready again.
func (u unit) reload() error {
	if !u.alive() {
		return errors.New("it is not active")
	}
	if !strings.Contains(u.keys["ExecReload"], "HUP") && u.keys["Type"] != "notify-reload" {
		return errors.New("job type reload is not applicable")
	}
	conn, err := u.notifySocket()
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := syscall.Kill(u.pid(), syscall.SIGHUP); err != nil {
		return err
	}
	return u.ready(conn)
}

// journal shows a unit's log: journalctl -u NAME [-n LINES] [-g WORDS].
func journal(args []string) error {
	var name, lines, grep string
	for i, a := range args {
		if i == 0 {
			continue
		}
		switch args[i-1] {
		case "-u":
			name = a
		case "-n":
			lines = a
		case "-g":
			grep = a
		}
	}
	text, err := os.ReadFile(unit{name: strings.TrimSuffix(name, ".service")}.log())
	if err != nil {
		return err
	}
	var shown [][]byte
	for line := range bytes.Lines(text) {
		if bytes.Contains(line, []byte(grep)) {
			shown = append(shown, line)
		}
	}
	if n, err := strconv.Atoi(lines); err == nil {
		shown = shown[max(0, len(shown)-n):]
	}
	_, err = io.Copy(os.Stdout, bytes.NewReader(bytes.Join(shown, nil)))
	return err
}
