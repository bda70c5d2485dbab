// Package metrics is what the agent tells Prometheus: gauges that are read from the agent's picture when somebody scrapes, and counters and
// histograms of what was committed, delivered and measured since the agent started.
//
// It promises that a scrape costs the agent no more than a picture does, that no label takes values without a bound (names of masters, servers,
// agents and endpoints are those that are known now; reasons and causes are words of the program), and that a series never changes its meaning.
package metrics
