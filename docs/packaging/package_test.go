// Package packaging holds what makes a Debian package and a tarball, and the test of both.
package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// output runs a program, and gives what it says.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// needs skips the test where a program is missing, but not where all must be there.
func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is missing", program)
	}
	t.Skipf("%s is missing", program)
}

// TestPackages builds the packages, looks into them, and runs the binary from where it was unpacked.
func TestPackages(t *testing.T) {
	t.Parallel()
	needs(t, "dpkg-deb")
	dir := t.TempDir()
	binary := filepath.Join(dir, "picket")
	output(t, "go", "build", "-o", binary, "../..")

	deb := strings.TrimSpace(output(t, "./build", "deb", binary, "v1.2.3-4-gabc", dir))
	root := filepath.Join(dir, "root")
	output(t, "dpkg-deb", "-x", deb, root)
	control := output(t, "dpkg-deb", "-I", deb, "control", "conffiles")
	for _, want := range []string{"Package: picket\n", "Version: 1.2.3+4+gabc\n", "/etc/picket/picket.yaml.example"} {
		if !strings.Contains(control, want) {
			t.Errorf("its description lacks %q:\n%s", want, control)
		}
	}
	list := output(t, "dpkg-deb", "-c", deb)
	for _, want := range []string{
		"-rwxr-xr-x root/root", "./usr/bin/picket\n", "./usr/lib/systemd/system/picket.service\n", "./usr/lib/sysusers.d/picket.conf\n",
		"./usr/share/bash-completion/completions/picket\n", "./usr/share/doc/picket/copyright\n", "./usr/share/man/man1/picket.1.gz\n",
	} {
		if !strings.Contains(list, want) {
			t.Errorf("it lacks %q:\n%s", want, list)
		}
	}
	for line := range strings.Lines(list) {
		if !strings.Contains(line, " root/root ") || strings.Contains(line, "picket.yaml\n") {
			t.Errorf("it holds %s", line)
		}
	}
	if out := output(t, filepath.Join(root, "usr/bin/picket"), "version"); !strings.HasPrefix(out, "picket ") {
		t.Errorf("the binary says %q", out)
	}
	example := filepath.Join(dir, "picket.yaml")
	output(t, "cp", filepath.Join(root, "etc/picket/picket.yaml.example"), example)
	output(t, filepath.Join(root, "usr/bin/picket"), "config", "check", example)
	for _, script := range []string{"postinst", "prerm", "postrm"} {
		output(t, "sh", "-n", script)
	}

	tarball := strings.TrimSpace(output(t, "./build", "tarball", binary, "v1.2.3", dir))
	if files := output(t, "tar", "-tzf", tarball); !strings.Contains(files, "./usr/bin/picket\n") || strings.Contains(files, "DEBIAN") {
		t.Errorf("%s holds\n%s", tarball, files)
	}
}

// TestScripts: the first installation sets rights, later ones leave the operator's, and a file that he deleted is no mistake. What is purged are empty directories.
func TestScripts(t *testing.T) {
	t.Parallel()
	root, bin := t.TempDir(), t.TempDir()
	calls := filepath.Join(bin, "calls")
	for _, name := range []string{"systemd-sysusers", "chown", "install"} {
		script := "#!/bin/sh\necho " + name + ` "$@" >>` + calls + "\n"
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o700); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
	}
	run := func(script string, args ...string) (called string) {
		t.Helper()
		text, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		inside := strings.NewReplacer("/etc/", root+"/etc/", "/var/", root+"/var/", "/run/", root+"/run/").Replace(string(text))
		cmd := exec.Command("sh", append([]string{"-c", inside, script}, args...)...)
		cmd.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH")}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %q: %v\n%s", script, args, err, out)
		}
		said, err := os.ReadFile(calls)
		if err != nil {
			t.Fatal(err)
		}
		_ = os.Truncate(calls, 0) // the next one says so
		return strings.ReplaceAll(string(said), root, "")
	}
	etc, data := filepath.Join(root, "etc/picket"), filepath.Join(root, "var/lib/picket")
	for _, dir := range []string{etc, data} {
		if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // as dpkg makes it
			t.Fatal(err)
		}
	}
	example := filepath.Join(etc, "picket.yaml.example")
	if err := os.WriteFile(example, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	users := "systemd-sysusers /usr/lib/sysusers.d/picket.conf\n"
	if got, want := run("postinst", "configure", ""), users+"chown root:picket /etc/picket\ninstall -d -o picket -g picket -m 0700 /var/lib/picket\n"+
		"chown root:picket /etc/picket/picket.yaml.example\n"; got != want {
		t.Errorf("the first time it calls\n%swant\n%s", got, want)
	}
	if info, err := os.Stat(etc); err != nil || info.Mode().Perm() != 0o750 {
		t.Errorf("%v (error: %v)", info.Mode(), err)
	}
	if err := os.Remove(example); err != nil {
		t.Fatal(err)
	}
	if got := run("postinst", "configure", "1.2.2"); got != users {
		t.Errorf("the second time it calls\n%s", got)
	}
	run("prerm", "remove")
	run("postrm", "remove")
	if err := os.WriteFile(filepath.Join(data, "log"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	run("postrm", "purge")
	if _, err := os.Stat(filepath.Join(data, "log")); err != nil {
		t.Errorf("what agents must not forget is gone: %v", err)
	}
	_ = os.Remove(filepath.Join(data, "log")) // shows below
	run("postrm", "purge")
	if _, err := os.Stat(data); !os.IsNotExist(err) {
		t.Errorf("an empty directory stays (error: %v)", err)
	}
}

// TestUnit: systemd understands the unit, and finds it hardened.
func TestUnit(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is missing") // it can't be had without systemd
	}
	unit := filepath.Join(t.TempDir(), "picket.service")
	text, err := os.ReadFile("../picket.service")
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.Executable() // any program that is there
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(unit, []byte(strings.Replace(string(text), "/usr/bin/picket", here, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := output(t, "systemd-analyze", "verify", "--man=no", unit); strings.Contains(out, "picket.service") {
		t.Error(out)
	}
	output(t, "systemd-analyze", "security", "--offline=true", "--threshold=25", unit) // 2.5 of 10
}
