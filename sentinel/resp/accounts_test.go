package resp

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"picket/config"
)

func TestAccounts_RemovedUsersAreDisconnected(t *testing.T) {
	s := start(t, Config{})
	boss, bob := newSpeaker(t, s), newSpeaker(t, s)
	boss.want("ACL SETUSER bob on >secret +@all &a &b", "+OK")
	bob.want("AUTH bob secret", "+OK")
	bob.want("ACL WHOAMI", "$bob")
	send(t, bob.conn, "SUBSCRIBE a")
	expect(t, bob.conn, "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n")
	boss.want("ACL SETUSER bob resetchannels &a", "+OK")
	bob.want("PING", "*") // it may still hear that
	boss.want("ACL SETUSER bob resetchannels &b", "+OK")
	bob.closed("who may not hear what it hears")

	bob = newSpeaker(t, s)
	bob.want("AUTH bob secret", "+OK")
	boss.want("ACL SETUSER bob off", "+OK")
	bob.want("PING", "+PONG") // as in Redis: who is in, is in
	boss.want("ACL DELUSER bob nobody", ":1")
	bob.closed("who was removed")
}

func TestAccounts_File(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.acl")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("user alice on >wonderland +@all\n")
	s := start(t, Config{Door: config.Door{ACLFile: path}})
	boss, alice := newSpeaker(t, s), newSpeaker(t, s)
	boss.want("PING", "+PONG")
	alice.want("AUTH alice wonderland", "+OK")
	boss.want("ACL SETUSER bob on nopass +ping", "+OK")
	boss.want("ACL SAVE", "+OK")
	saved, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(saved), "wonderland") || strings.Count(string(saved), "\n") != 3 {
		t.Errorf("%q, %v", saved, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: others may read it", info.Mode(), err)
	}
	write("user alice on foo\n")
	if v := boss.ask("ACL LOAD"); v.kind != '-' || !strings.Contains(v.text, path+":1: Syntax error. WARNING: ") {
		t.Errorf("a wrong file: %+v", v)
	}
	alice.want("ACL WHOAMI", "$alice") // nothing is different
	write("user carol on nopass +@all\n")
	boss.want("ACL LOAD", "+OK")
	alice.closed("who is gone")
	if got := texts(boss.ask("ACL USERS")); strings.Join(got, " ") != "carol default" {
		t.Errorf("users: %q", got)
	}
	boss.want("AUTH carol x", "+OK")
	boss.want("ACL LOAD", "+OK")
	boss.closed("who has loaded the file itself")

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if v := newSpeaker(t, s).ask("ACL LOAD"); !strings.Contains(v.text, "opening file '"+path+"'") {
		t.Errorf("no file: %+v", v)
	}
}

// TestAccounts_NobodyWaitsForTheDisk: while the file is read others are let in. Here it is a pipe, which says nothing at first.
func TestAccounts_NobodyWaitsForTheDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.acl")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, Config{Door: config.Door{ACLFile: path}})
	if err := errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	boss, other := newSpeaker(t, s), newSpeaker(t, s)
	send(t, boss.conn, "ACL LOAD")
	disk, err := os.OpenFile(path, os.O_WRONLY, 0) // waits for the reader
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	other.want("ACL WHOAMI", "$default")
	if _, err := disk.WriteString("user alice on nopass +@all\n"); err != nil {
		t.Fatal(err)
	}
	_ = disk.Close() // ends what is read
	expect(t, boss.conn, "+OK\r\n")
	other.want("ACL USERS", "*")
}

// TestAccounts_PasswordAndFile: a file that does not speak of the default user leaves the door closed.
func TestAccounts_PasswordAndFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.acl")
	for text, want := range map[string]string{
		"user alice on nopass +@all\n":                   "-NOAUTH Authentication required.",
		"user default on nopass +@all\nuser alice off\n": "+PONG",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		newSpeaker(t, start(t, Config{Door: config.Door{ACLFile: path, Password: "secret"}})).want("PING", want)
	}
}

func TestCheckUsers(t *testing.T) {
	if err := CheckUsers(config.Door{Password: "secret", Users: someUsers}); err != nil {
		t.Error(err)
	}
	err := CheckUsers(config.Door{Users: []config.Secret{"alice on +@all", "bob +foo", "carol <hunter2", "dora >hunter2 (+ping)"}})
	var bad *config.Error
	if !errors.As(err, &bad) || len(bad.Problems) != 3 {
		t.Fatalf("%v", err)
	}
	for i, want := range []string{
		`sentinel.users[1]: got "+foo": Unknown command or category name in ACL`, "sentinel.users[2]: The password you are trying to remove",
		`sentinel.users[3]: got "(+ping)": Selectors are not supported`,
	} {
		if got := bad.Problems[i].String(); !strings.Contains(got, want) || strings.Contains(got, "hunter2") {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if _, err := Listen(Config{Addr: "127.0.0.1:0", Door: config.Door{ACLFile: "testdata/nowhere"}}); err == nil || !strings.Contains(err.Error(), "sentinel.acl-file") {
		t.Errorf("a file that is not there: %v", err)
	}
}
