package config

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	maxWebhooks       = 100
	maxWebhookTimeout = 5 * time.Minute
	minGiveUp         = time.Minute
	maxGiveUp         = 7 * 24 * time.Hour
	maxTemplate       = 64 << 10
)

func (c *Config) checkWebhooks(r *report) {
	if len(c.Webhooks) > maxWebhooks {
		r.add("webhooks", nil, fmt.Sprintf("lists %d, and there may be %d", len(c.Webhooks), maxWebhooks), "have one receiver pass events on")
	}
	known := unique[string]{}
	for i := range c.Webhooks {
		key := element("webhooks", i)
		c.checkWebhook(r, key, &c.Webhooks[i])
		known.check(r, key+".name", c.Webhooks[i].Name)
	}
}

func (c *Config) checkWebhook(r *report, key string, w *Webhook) {
	r.name(key+".name", w.Name)
	c.checkURL(r, key, w)
	c.checkSigning(r, key, w)
	c.checkFilters(r, key, w)
	r.between(key+".timeout", w.Timeout, time.Millisecond, maxWebhookTimeout)
	r.oneOf(key+".ordering", w.Ordering, OrderMaster, OrderStrict, OrderNone)
	r.between(key+".give-up-after", w.GiveUpAfter, minGiveUp, maxGiveUp)
	c.checkHeaders(r, key, w.Headers)
	c.checkBody(r, key, w)
}

func (c *Config) checkURL(r *report, key string, w *Webhook) {
	secret := Secret(w.URL) // it may hold a token
	c.secret(r, key+".url", &secret, w.URLFile)
	w.URL = string(secret)
	u, err := url.Parse(w.URL)
	switch {
	case !r.sound(key+".url") || !r.sound(key+".url-file"):
		return
	case w.URL == "":
		r.add(key+".url", nil, "is missing", "")
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		r.add(key+".url", Secret(w.URL), "is not an http or https URL", "write it like https://example.com/hooks/redis")
	case u.Scheme == "http" && w.TLS != (WebhookTLS{}):
		r.add(key+".tls", nil, "is given, and the url is not one of https", "write https, or take tls away")
	}
	if w.TLS != (WebhookTLS{}) {
		TLS{Enabled: true, CA: w.TLS.CA, Cert: w.TLS.Cert, Key: w.TLS.Key}.check(r, key+".tls")
	}
}

// checkSigning demands a secret where receivers are known to verify.
func (c *Config) checkSigning(r *report, key string, w *Webhook) {
	for _, s := range []struct {
		key    string
		secret *Secret
		file   string
		needed bool
	}{
		{key + ".secret", &w.Secret, w.SecretFile, w.Preset == PresetCloudEvents && w.Template == "" && w.TemplateFile == "" || w.SecretNext != "" || w.SecretNextFile != ""},
		{key + ".secret-next", &w.SecretNext, w.SecretNextFile, false},
	} {
		c.secret(r, s.key, s.secret, s.file)
		if !r.sound(s.key) || !r.sound(s.key+"-file") {
			continue
		}
		const remedy = "make one: echo whsec_$(head -c 32 /dev/urandom | base64)"
		if *s.secret == "" && s.needed {
			r.add(s.key, nil, "is missing", remedy)
		} else if _, err := s.secret.signingKey(); err != nil && *s.secret != "" {
			r.add(s.key, *s.secret, err.Error(), remedy)
		}
	}
}

func (c *Config) checkFilters(r *report, key string, w *Webhook) {
	for i, pattern := range w.Events {
		if !KnownEvent(pattern) {
			r.add(element(key+".events", i), pattern, "is not the type of an event", didYouMean(pattern, eventTypes))
		}
	}
	if shown := presetEvents[w.Preset]; shown != nil && len(w.Events) > 0 && r.sound(key+".events") &&
		!slices.ContainsFunc(shown, func(t string) bool { return slices.ContainsFunc(w.Events, func(p string) bool { return match(p, t) }) }) {
		r.add(key+".events", nil, "names none of those that the preset "+w.Preset+" has a form for", "they are "+strings.Join(shown, ", "))
	}
	var masters []string
	for _, m := range c.Masters {
		masters = append(masters, m.Name)
	}
	for i, name := range w.Masters {
		if !slices.Contains(masters, name) && r.sound("masters") {
			r.add(element(key+".masters", i), name, "is not among the masters", didYouMean(name, masters))
		}
	}
}

// Of a header, as RFC 9110 has them.
var (
	headerName  = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
	headerValue = regexp.MustCompile(`^[\t\x20-\x7e\x80-\xff]*$`)
)

// ownHeaders are those that Picket sets itself; with a dash at the end, all that begin so.
var ownHeaders = []string{"Webhook-", "Content-Type", "Content-Length", "Transfer-Encoding", "Host", "Connection", "User-Agent"}

func (c *Config) checkHeaders(r *report, key string, headers []Header) {
	known := unique[string]{}
	for i := range headers {
		h, below := &headers[i], element(key+".headers", i)
		name := http.CanonicalHeaderKey(h.Name)
		switch own := func(o string) bool { return name == o || strings.HasSuffix(o, "-") && strings.HasPrefix(name, o) }; {
		case h.Name == "":
			r.add(below+".name", nil, "is missing", "")
		case !headerName.MatchString(h.Name):
			r.add(below+".name", h.Name, "is not the name of a header", "")
		case slices.ContainsFunc(ownHeaders, own):
			r.add(below+".name", h.Name, "is one that Picket sets itself", "")
		}
		known.check(r, below+".name", name)
		c.checkHeaderValue(r, below, h)
	}
}

func (c *Config) checkHeaderValue(r *report, key string, h *Header) {
	if h.ValueEnv != "" {
		if h.Value != "" || h.ValueFile != "" {
			r.add(key+".value-env", h.ValueEnv, "is given although the value is, too", "keep one of them")
			return
		}
		if h.Value = Secret(os.Getenv(h.ValueEnv)); h.Value == "" {
			r.add(key+".value-env", h.ValueEnv, "is not in the environment, or empty", "set the variable for the agent, in its unit for example")
			return
		}
	}
	c.secret(r, key+".value", &h.Value, h.ValueFile)
	switch {
	case !r.sound(key+".value") || !r.sound(key+".value-file"):
	case h.Value == "":
		r.add(key+".value", nil, "is missing", "write value, value-file or value-env")
	case !headerValue.MatchString(string(h.Value)):
		r.add(key+".value", h.Value, "can't stand in a header", "it must be one line")
	}
}

func (c *Config) checkBody(r *report, key string, w *Webhook) {
	r.oneOf(key+".preset", w.Preset, PresetCloudEvents, PresetSlack, PresetPagerDuty, PresetAlertmanager)
	c.secret(r, key+".routing-key", &w.RoutingKey, w.RoutingKeyFile)
	switch given := w.RoutingKey != "" || w.RoutingKeyFile != ""; {
	case w.Preset == PresetPagerDuty && !given:
		r.add(key+".routing-key", nil, "is missing", "PagerDuty shows it as the integration key of the service, for Events API v2")
	case w.Preset != PresetPagerDuty && given:
		r.add(key+".routing-key", w.RoutingKey, "is given, and the preset is not pagerduty", "take it away, or write preset: pagerduty")
	}
	if w.TemplateFile != "" {
		text, err := ReadFile(w.TemplateFile, maxTemplate)
		switch {
		case w.Template != "":
			r.add(key+".template", nil, "is given although template-file is, too", "keep one of them")
		case err != nil:
			r.unread(key+".template-file", w.TemplateFile, err, "name a file that this user may read")
		case len(text) == 0:
			r.add(key+".template-file", w.TemplateFile, "is empty", "")
		}
		w.Template = string(text)
	}
	switch templated := w.Template != ""; {
	case len(w.Template) > maxTemplate:
		r.add(key+".template", nil, fmt.Sprintf("is larger than %d KiB", maxTemplate>>10), "")
	case templated && w.Preset != PresetCloudEvents:
		r.add(key+".template", nil, "is given although preset is, too", "keep one of them")
	case !templated && r.sound(key+".template-file") && w.ContentType != DefaultWebhook().ContentType:
		r.add(key+".content-type", w.ContentType, "is given, but no template", "presets have their own")
	case w.ContentType == "" || !headerValue.MatchString(w.ContentType):
		r.add(key+".content-type", w.ContentType, "can't be a content type", "write it like application/json")
	}
}

// presetEvents are those that a preset has a form for; nil: it has one for all.
var presetEvents = map[string][]string{
	PresetPagerDuty: {"failover.begun", "failover.ended", "failover.aborted"}, PresetAlertmanager: {"failover.begun", "failover.ended", "failover.aborted"},
}
