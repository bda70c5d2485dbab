package config

import "net/url"

func (c *Config) checkTracing(r *report) {
	u, err := url.Parse(c.Tracing.Endpoint)
	switch {
	case c.Tracing.Endpoint == "":
		if len(c.Tracing.Headers) > 0 {
			r.add("tracing.endpoint", nil, "is missing, although headers are given", "name the collector, or take the headers away")
		}
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		r.add("tracing.endpoint", Secret(c.Tracing.Endpoint), "is not an http or https URL", "write it like http://collector.example.com:4318")
	case u.User != nil:
		r.add("tracing.endpoint", Secret(c.Tracing.Endpoint), "holds a password", "give it as a header: see tracing.headers")
	case u.RawQuery != "" || u.Fragment != "":
		r.add("tracing.endpoint", Secret(c.Tracing.Endpoint), "has a query", "give what it says as a header: see tracing.headers")
	}
	c.checkHeaders(r, "tracing", c.Tracing.Headers)
}

// URL is where traces are posted to: where the endpoint names no path, the usual one.
func (t Tracing) URL() string {
	if u, err := url.Parse(t.Endpoint); err == nil && (u.Path == "" || u.Path == "/") {
		u.Path = "/v1/traces"
		return u.String()
	}
	return t.Endpoint
}
