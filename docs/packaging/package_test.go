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
		"./usr/share/bash-completion/completions/picket\n", "./usr/share/doc/picket/copyright\n",
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
