package sim

import (
	"strings"
)

// CloudYAML is the definition of the world as a user-defined cloud named
// "sim": what `cloud add` takes. A world with a listener for each service is
// described by its loopback addresses; one that listens for all services at one
// address by the public host names, which a hosts file then has to redirect.
func (w *World) CloudYAML() []byte {
	login, graph, outlook, suffix := w.LoginURL(), w.GraphURL(), w.OutlookURL(), ""
	if w.options.Listen != "" {
		public := sites()[0]
		login, graph, outlook, suffix = "https://"+public.login[0], "https://"+public.graph, "https://"+public.outlook[0], public.sharepoint
	} else {
		suffix = w.ownSuffix()
	}
	var b strings.Builder
	b.WriteString("# A simulated Microsoft 365 tenant, made by c2conn-sim. Good as long as it runs.\n")
	b.WriteString("name: sim\ntitle: Simulated Microsoft 365\n")
	b.WriteString("authority: " + login + "\ngraph: " + graph + "\noutlook: " + outlook + "\nsharepoint_suffix: " + suffix + "\n")
	b.WriteString("portal: https://entra.microsoft.com\nca_certificate: |\n")
	for line := range strings.SplitSeq(strings.TrimSpace(string(w.authority.pem)), "\n") {
		b.WriteString("  " + line + "\n")
	}
	return []byte(b.String())
}
