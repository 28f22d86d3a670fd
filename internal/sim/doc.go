// Package sim is a simulated Microsoft 365 tenant: Entra ID, Microsoft Graph,
// Exchange Online's EWS and SharePoint Online over real TLS on loopback.
//
// It hides how those services decide: which application may sign in, what a
// token holds, which role opens which door, what a refusal looks like. It is
// written from the documentation of the services and from their published
// schemas, not from what any one client sends, and it is never more lenient
// than they are. The registrations are kept as Entra ID keeps them: a write goes
// to the primary, reads are served by replicas that may lag (fault replication).
// Faults (throttling, missing consent, EWS blocked by the tenant, broken
// networks, hostile text) are switched on by name.
//
// It imports nothing of the product. Tests and cmd/c2conn-sim start it:
//
//	world, err := sim.Start(sim.Options{Now: time.Now, Sleep: sim.RealSleep})
//	defer world.Close()
//
// Identifiers, secrets and the order of random faults follow Options.Seed.
// Keys and certificates are made afresh: the crypto packages take no seed.
package sim
