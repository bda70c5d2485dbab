package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"picket/config"
	"picket/sentinel/state"
)

// cloudEvent is the body: CloudEvents 1.0 in structured JSON, with two extensions.
type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject,omitempty"`
	Time            string          `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	Sequence        string          `json:"sequence"` // log index: the order of events
	Epoch           string          `json:"epoch"`
	Data            state.EventData `json:"data"`
}

// eventID is the same in every attempt, by whichever leader.
func eventID(cluster string, e state.Event) string { return fmt.Sprintf("%s-%d", cluster, e.ID) }

// encode makes the body of an event; it depends on nothing but the event.
func encode(cluster string, e state.Event) ([]byte, error) {
	source := "/clusters/" + cluster
	if e.Master != "" {
		source += "/masters/" + e.Master
	}
	body, err := json.Marshal(cloudEvent{
		SpecVersion: "1.0", ID: eventID(cluster, e), Source: source, Type: "io.picket." + string(e.Type) + ".v1", Subject: e.Master,
		Time: time.Unix(0, e.At).UTC().Format(time.RFC3339Nano), DataContentType: "application/json",
		Sequence: strconv.FormatUint(e.ID, 10), Epoch: strconv.FormatUint(e.Epoch, 10), Data: e.Data,
	})
	if err != nil {
		return nil, fmt.Errorf("encode event %d: %w", e.ID, err)
	}
	return body, nil
}

// sign adds the Standard Webhooks headers of one attempt.
func sign(h http.Header, key []byte, id string, at time.Time, body []byte) {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(body)
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", stamp)
	h.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

// secretPrefix begins a Standard Webhooks secret; base64 follows.
const secretPrefix = "whsec_"

// decodeSecret gives the key of a secret.
func decodeSecret(s config.Secret) ([]byte, error) {
	encoded, ok := strings.CutPrefix(string(s), secretPrefix)
	if !ok {
		return nil, fmt.Errorf("the secret must begin with %s", secretPrefix)
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("the secret is not %s and base64", secretPrefix) // the error would quote it
	}
	return key, nil
}

// wants says whether a receiver asked for an event.
func wants(w config.Webhook, e state.Event) bool {
	return matches(w.Events, string(e.Type)) && (e.Master == "" || matches(w.Masters, e.Master))
}

// matches: an empty list means all; an entry may end in "*".
func matches(patterns []string, value string) bool {
	for _, p := range patterns {
		if prefix, wild := strings.CutSuffix(p, "*"); p == value || wild && strings.HasPrefix(value, prefix) {
			return true
		}
	}
	return len(patterns) == 0
}
