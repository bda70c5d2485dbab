package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

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
