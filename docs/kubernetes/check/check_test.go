// Package kubernetes checks the example for Kubernetes: by the types of its API, by what its parts say of each other, and by Picket itself. It is a module of
// its own because nothing else needs those types.
package kubernetes

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// example are the objects of a file. What the API does not know is an error.
func example(t *testing.T) []runtime.Object {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, appsv1.AddToScheme, policyv1.AddToScheme, networkingv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	decoder := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Yaml: true, Strict: true})
	file, err := os.Open("../picket.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var objects []runtime.Object
	for documents := yaml.NewDocumentDecoder(file); ; {
		text := make([]byte, 1<<20)
		n, err := documents.Read(text)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		object, _, err := decoder.Decode(text[:n], nil, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, text[:n])
		}
		objects = append(objects, object)
	}
}

// all gives the objects of a type by their names.
func all[T metav1.Object](objects []runtime.Object) map[string]T {
	found := map[string]T{}
	for _, o := range objects {
		if o, ok := o.(T); ok {
			found[o.GetName()] = o
		}
	}
	return found
}

func TestExample(t *testing.T) {
	objects := example(t)
	sets, services := all[*appsv1.StatefulSet](objects), all[*corev1.Service](objects)
	maps := all[*corev1.ConfigMap](objects)
	set := sets["redis"]
	if len(objects) != 8 || set == nil {
		t.Fatalf("%d objects", len(objects))
	}
	pod := set.Spec.Template
	for _, o := range objects {
		if wrong := validation.IsDNS1123Label(o.(metav1.Object).GetName()); len(wrong) > 0 {
			t.Error(wrong)
		}
	}
	selects := func(what string, selector *metav1.LabelSelector) {
		t.Helper()
		s, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil || s.Empty() || !s.Matches(labels.Set(pod.Labels)) {
			t.Errorf("%s does not select the pods (%v)", what, err)
		}
	}
	selects("the set", set.Spec.Selector)
	for name, s := range services {
		selects(name, &metav1.LabelSelector{MatchLabels: s.Spec.Selector})
	}
	for name, p := range all[*policyv1.PodDisruptionBudget](objects) {
		selects(name, p.Spec.Selector)
	}

	head := services[set.Spec.ServiceName]
	if head == nil || head.Spec.ClusterIP != corev1.ClusterIPNone || !head.Spec.PublishNotReadyAddresses {
		t.Errorf("the headless service: %+v", head)
	}
	if len(pod.Spec.InitContainers) != 1 || *pod.Spec.InitContainers[0].RestartPolicy != corev1.ContainerRestartPolicyAlways {
		t.Error("the agent is no sidecar")
	}
	ports, volumes := map[string]bool{}, map[string]bool{}
	for _, v := range pod.Spec.Volumes {
		volumes[v.Name] = true
		if m := v.ConfigMap; m != nil && maps[m.Name] == nil {
			t.Errorf("there is no ConfigMap %s", m.Name)
		}
	}
	for _, v := range set.Spec.VolumeClaimTemplates {
		volumes[v.Name] = true
	}
	containers := append(slices.Clone(pod.Spec.InitContainers), pod.Spec.Containers...)
	for _, c := range containers {
		for _, p := range c.Ports {
			ports[p.Name] = true
		}
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				t.Errorf("%s mounts %s, which is not there", c.Name, m.Name)
			}
			if m.SubPath != "" {
				t.Errorf("%s would not see a change of %s", c.Name, m.Name)
			}
		}
		restricted(t, c)
	}
	if !*pod.Spec.SecurityContext.RunAsNonRoot || pod.Spec.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Error("the pods are not restricted")
	}
	for name, p := range all[*networkingv1.NetworkPolicy](objects) {
		selects(name, &p.Spec.PodSelector)
		for _, rule := range p.Spec.Ingress {
			for _, port := range rule.Ports {
				if !ports[port.Port.StrVal] {
					t.Errorf("%s speaks of port %s, which no container has", name, port.Port)
				}
			}
		}
	}
	for _, c := range containers {
		for _, probe := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
			if probe != nil && probe.HTTPGet != nil && (!ports[probe.HTTPGet.Port.StrVal] || !strings.HasPrefix(probe.HTTPGet.Path, "/")) {
				t.Errorf("%s is probed at %s%s", c.Name, probe.HTTPGet.Port.String(), probe.HTTPGet.Path)
			}
		}
	}
	configuration(t, maps["picket"].Data["picket.yaml"])
}

// restricted checks what Kubernetes demands of a container where the Pod Security Standard restricted is enforced.
func restricted(t *testing.T, c corev1.Container) {
	t.Helper()
	s := c.SecurityContext
	if s == nil || *s.AllowPrivilegeEscalation || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) || !*s.ReadOnlyRootFilesystem || *s.RunAsUser == 0 {
		t.Errorf("%s is not restricted: %+v", c.Name, s)
	}
}

// configuration has Picket check the file, with the secret's files elsewhere.
func configuration(t *testing.T, text string) {
	t.Helper()
	dir := t.TempDir()
	for name, secret := range map[string]string{"redis-password": "a", "sentinel-password": "b", "http-token": "not-a-real-token-0"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "picket.yaml")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "/etc/redis-auth", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	check := exec.Command("../../../bin/picket", "config", "check", path) // make builds it
	check.Env = append(os.Environ(), "PICKET_AGENT_ID=redis-1")
	out, err := check.CombinedOutput()
	// That tokens cross the network as they are is for the network's policy, or a service mesh: README.md says so.
	if err != nil || bytes.Count(out, []byte("warning")) != 1 || !bytes.Contains(out, []byte("add http.tls")) {
		t.Errorf("%v\n%s", err, out)
	}
}
