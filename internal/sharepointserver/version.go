package sharepointserver

import (
	"fmt"
	"strconv"
	"strings"
)

// Build is what a server tells of its version in the header
// MicrosoftSharePointTeamServices: "15.0.0.4569", "16.0.0.10337", with the build at the
// end; or as it is elsewhere, "16.0.10417.20018". It is that of the web site in IIS, which
// may lag behind the latest update. The zero Build is one that it did not tell.
type Build struct{ Major, Minor, Build, Revision int }

// String is the build as administrators know it; "" for the zero Build.
func (b Build) String() string {
	if b == (Build{}) {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d.%d", b.Major, b.Minor, b.Build, b.Revision)
}

// parseBuild reads the header; anything else is the zero Build.
func parseBuild(s string) Build {
	const most = 1_000_000
	var n [4]int
	parts := strings.Split(strings.TrimSpace(s), ".")
	if len(parts) < 2 || len(parts) > len(n) {
		return Build{}
	}
	for i, p := range parts {
		v, err := strconv.Atoi(p)
		if err != nil || v < 0 || v > most {
			return Build{}
		}
		n[i] = v
	}
	return Build{n[0], n[1], n[2], n[3]}
}

// Version is what a build number tells of a server.
type Version struct {
	Name  string // "SharePoint Server 2019"; with the build where it is not known
	Ended string // when Microsoft's support ended, 2006-01-02; "" where it goes on or is not known
}

// VersionOf names the version by its build. From 2016 on all are 16.0.
//
// Source: learn.microsoft.com/officeupdates/sharepoint-updates (2016 begins at
// 16.0.4351, 2019 at 16.0.10337, the Subscription Edition at 16.0.14326) and
// learn.microsoft.com/lifecycle/products.
func VersionOf(b Build) Version {
	build := b.Build
	if build == 0 {
		build = b.Revision
	}
	switch {
	case b == (Build{}):
		return Version{Name: "SharePoint Server"}
	case b.Major == 16 && build >= 14000:
		return Version{Name: "SharePoint Server Subscription Edition"}
	case b.Major == 16 && build >= 10000:
		return Version{Name: "SharePoint Server 2019", Ended: "2026-07-14"}
	case b.Major == 16 && build >= 4000 && build < 6000:
		return Version{Name: "SharePoint Server 2016", Ended: "2026-07-14"}
	case b.Major == 15:
		return Version{Name: "SharePoint Server 2013", Ended: "2023-04-11"}
	case b.Major == 14:
		return Version{Name: "SharePoint Server 2010", Ended: "2021-04-13"}
	case b.Major == 12:
		return Version{Name: "SharePoint Server 2007", Ended: "2017-10-10"}
	}
	return Version{Name: "SharePoint Server (build " + b.String() + ")"}
}
