package exchangeserver

import "fmt"

// Version is what a build number tells of a server.
type Version struct {
	Name      string // "Exchange Server 2019"; "Exchange Server" with the build where it is not known
	Supported bool
	Ended     string // when Microsoft's support ended, 2006-01-02; "" where it goes on or is not known
}

// VersionOf names the version by its build.
//
// Source: learn.microsoft.com/exchange/new-features/build-numbers-and-release-dates
// (the Subscription Edition begins at 15.2.2562.17) and
// learn.microsoft.com/lifecycle/products, Exchange Server. Paid security updates for
// 2016 and 2019 ended in 2026, when exactly is unsure; the day of the ordinary end is
// told.
func VersionOf(major, minor, build int) Version {
	switch {
	case major == 15 && minor == 2 && build >= 2562:
		return Version{Name: "Exchange Server SE", Supported: true}
	case major == 15 && minor == 2:
		return Version{Name: "Exchange Server 2019", Ended: "2025-10-14"}
	case major == 15 && minor == 1:
		return Version{Name: "Exchange Server 2016", Ended: "2025-10-14"}
	case major == 15 && minor == 0:
		return Version{Name: "Exchange Server 2013", Ended: "2023-04-11"}
	case major == 14:
		return Version{Name: "Exchange Server 2010", Ended: "2020-10-13"}
	case major == 8:
		return Version{Name: "Exchange Server 2007", Ended: "2017-04-11"}
	}
	// A later one than c2conn knows is most likely supported.
	return Version{Name: fmt.Sprintf("Exchange Server (build %d.%d.%d)", major, minor, build), Supported: major > 15 || major == 15 && minor > 2}
}
