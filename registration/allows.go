package registration

import "sync"

// Allows says in plain words what whoever holds a permission can do; "" where c2conn
// does not know it. It knows those of the catalogue and others that applications for
// backup, migration and administration often have.
func Allows(r Resource, role string) string { return wellKnown()[r][role] }

// wellKnown is built when it is first asked for: most commands never do.
//
// Source: graphReference and the descriptions that the services' own service
// principals give of their application roles.
var wellKnown = sync.OnceValue(func() map[Resource]map[string]string {
	return map[Resource]map[string]string{Exchange: exchangeAllows(), Graph: graphAllows(), SharePoint: sharePointAllows()}
})

func exchangeAllows() map[string]string {
	return map[string]string{
		"full_access_as_app":        "read, change and delete everything in every mailbox of the organisation and send mail as anybody, over Exchange Web Services",
		"Exchange.ManageAsApp":      "manage Exchange Online by PowerShell, as far as the roles reach that the application has in Exchange or Entra ID",
		"Exchange.ManageAsAppV2":    "manage Exchange Online by its Admin API, as far as the roles reach that the application has in Exchange or Entra ID",
		"IMAP.AccessAsApp":          "read and change by IMAP the mailboxes that it was given access to",
		"POP.AccessAsApp":           "read and delete by POP3 the messages of the mailboxes that it was given access to",
		"SMTP.SendAsApp":            "send mail by SMTP from the mailboxes that it was given access to",
		"Mailbox.Migration":         "move mailboxes between organisations",
		"Mail.Read":                 "read the mail of every mailbox",
		"Mail.ReadWrite":            "read, change and delete the mail of every mailbox",
		"Mail.Send":                 "send mail as anybody",
		"Calendars.Read":            "read every calendar",
		"Calendars.ReadWrite.All":   "read and change every calendar",
		"Contacts.Read":             "read everybody's contacts",
		"Contacts.ReadWrite":        "read and change everybody's contacts",
		"MailboxSettings.Read":      "read the settings of every mailbox",
		"MailboxSettings.ReadWrite": "read and change the settings of every mailbox, not its messages",
		"Organization.Read.All":     "read the settings of the organisation in Exchange",
		"User.Read.All":             "read the full profile of every user",
	}
}

func graphAllows() map[string]string {
	return map[string]string{
		// Directory and people.
		"User.ReadBasic.All":                     "read the names and addresses of all users",
		"User.Read.All":                          "read the full profile of every user",
		"User.ReadWrite.All":                     "read, create, change and delete users",
		"User.Invite.All":                        "invite guests",
		"User.Export.All":                        "export the personal data of every user",
		"User.EnableDisableAccount.All":          "block and unblock the accounts of users",
		"User.ManageIdentities.All":              "change how users sign in",
		"UserAuthenticationMethod.Read.All":      "read how every user proves who they are, such as telephone numbers and devices",
		"Group.Create":                           "create groups",
		"Group.Read.All":                         "read all groups, their members and their content",
		"Group.ReadWrite.All":                    "create, change and delete groups, their members and their content",
		"GroupMember.Read.All":                   "read the members of all groups",
		"GroupMember.ReadWrite.All":              "add members to groups and remove them",
		"Directory.Read.All":                     "read users, groups, applications and other objects of the directory",
		"Directory.ReadWrite.All":                "create and change users, groups and other objects of the directory",
		"Organization.Read.All":                  "read the organisation's name, domains and subscriptions",
		"Organization.ReadWrite.All":             "change the organisation's details and branding",
		"Domain.Read.All":                        "read the organisation's domains",
		"Domain.ReadWrite.All":                   "add, change and remove the organisation's domains",
		"LicenseAssignment.ReadWrite.All":        "give users and groups licences and take them away",
		"People.Read.All":                        "read whom every user has to do with",
		"Contacts.Read":                          "read everybody's contacts",
		"Contacts.ReadWrite":                     "read, create, change and delete everybody's contacts",
		"OrgContact.Read.All":                    "read the organisation's contacts",
		"UserAuthenticationMethod.ReadWrite.All": "change how every user proves who they are, administrators included: with it accounts can be taken over",

		// Applications, roles and policies.
		"Application.Read.All":                   "read all applications and their service principals",
		"Application.ReadWrite.OwnedBy":          "create applications and change those that it owns",
		"Application.ReadWrite.All":              "change every application and give it new credentials: with it the rights of any other application can be used",
		"AppRoleAssignment.ReadWrite.All":        "grant any permission to any application, itself included: with it everything can be done",
		"DelegatedPermissionGrant.ReadWrite.All": "grant applications permissions on behalf of all users",
		"RoleManagement.Read.All":                "read who has which roles",
		"RoleManagement.Read.Directory":          "read who has which roles in Entra ID",
		"RoleManagement.ReadWrite.Directory":     "give anybody any role in Entra ID, itself included: with it everything can be done",
		"RoleManagement.ReadWrite.Exchange":      "give anybody any role in Exchange Online",
		"Policy.Read.All":                        "read the organisation's policies",
		"Policy.ReadWrite.ConditionalAccess":     "change under which conditions people may sign in",
		"AuditLog.Read.All":                      "read who signed in and what was changed",

		// Mail and calendars.
		"Mail.ReadBasic.All":           "read the senders, subjects and dates of all mail, not its content",
		"Mail.Read":                    "read the mail of every mailbox",
		"Mail.ReadWrite":               "read, change and delete the mail of every mailbox; not send",
		"Mail.Send":                    "send mail as anybody",
		"MailboxSettings.Read":         "read the settings of every mailbox",
		"MailboxSettings.ReadWrite":    "read and change the settings of every mailbox, not its messages",
		"MailboxFolder.Read.All":       "read the folders of every mailbox, not the items in them",
		"MailboxFolder.ReadWrite.All":  "create, change and delete the folders of every mailbox",
		"MailboxItem.Read.All":         "read the items of every mailbox",
		"MailboxItem.Export.All":       "export the items of every mailbox",
		"MailboxItem.ImportExport.All": "export the items of every mailbox and import others",
		"MailboxConfigItem.ReadWrite":  "read and change the configuration that programs keep in every mailbox, such as signatures",
		"Calendars.ReadBasic.All":      "read when everybody is free or busy, not the content of appointments",
		"Calendars.Read":               "read every calendar",
		"Calendars.ReadWrite":          "read, create, change and delete appointments in every calendar",
		"Place.Read.All":               "read the rooms and places of the organisation",
		"Tasks.Read.All":               "read everybody's tasks",
		"Tasks.ReadWrite.All":          "read, create, change and delete everybody's tasks",
		"Notes.Read.All":               "read every OneNote notebook",
		"Notes.ReadWrite.All":          "read and change every OneNote notebook",

		// Files, sites and Teams.
		"Files.Read.All":             "read every file in OneDrive and SharePoint",
		"Files.ReadWrite.All":        "read, change and delete every file in OneDrive and SharePoint",
		"Sites.Selected":             "reach the sites that it was given access to, one by one",
		"Sites.Read.All":             "read the documents and lists of every site",
		"Sites.ReadWrite.All":        "read, change and delete the documents and list items of every site",
		"Sites.Manage.All":           "create, change and delete the lists and documents of every site",
		"Sites.FullControl.All":      "full control of every site collection: its content, settings and permissions",
		"TermStore.Read.All":         "read the terms that sites are tagged with",
		"TermStore.ReadWrite.All":    "change the terms that sites are tagged with",
		"Team.ReadBasic.All":         "read the names of all teams",
		"Team.Create":                "create teams",
		"TeamMember.Read.All":        "read the members of all teams",
		"TeamMember.ReadWrite.All":   "add members to teams and remove them",
		"TeamSettings.ReadWrite.All": "change the settings of all teams",
		"Channel.ReadBasic.All":      "read the names of all channels",
		"ChannelMessage.Read.All":    "read the messages of every channel",
		"Chat.Read.All":              "read everybody's chats",
		"Chat.ReadWrite.All":         "read and change everybody's chats",
		"Teamwork.Migrate.All":       "create messages in Teams in anybody's name, with past dates",

		// Devices, reports and security.
		"Device.Read.All":                                         "read all devices",
		"Device.ReadWrite.All":                                    "change and delete all devices",
		"DeviceManagementServiceConfig.Read.All":                  "read the enrolment settings of Microsoft Intune",
		"DeviceManagementServiceConfig.ReadWrite.All":             "change the enrolment settings of Microsoft Intune",
		"DeviceManagementConfiguration.Read.All":                  "read what Microsoft Intune sets on devices",
		"DeviceManagementConfiguration.ReadWrite.All":             "change what Microsoft Intune sets on devices, scripts included",
		"DeviceManagementManagedDevices.Read.All":                 "read the devices that Microsoft Intune manages",
		"DeviceManagementManagedDevices.ReadWrite.All":            "change the devices that Microsoft Intune manages",
		"DeviceManagementManagedDevices.PrivilegedOperations.All": "lock, reset and wipe devices",
		"BitlockerKey.Read.All":                                   "read the keys that unlock encrypted disks",
		"Reports.Read.All":                                        "read how much the services are used, with names",
		"ServiceHealth.Read.All":                                  "read the state of Microsoft's services",
		"SecurityEvents.Read.All":                                 "read security alerts",
		"IdentityRiskyUser.Read.All":                              "read which users are at risk",
	}
}

func sharePointAllows() map[string]string {
	return map[string]string{
		"Sites.Selected":          "reach the sites that it was given access to, one by one",
		"Sites.Read.All":          "read the documents and lists of every site",
		"Sites.ReadWrite.All":     "read, change and delete the documents and list items of every site",
		"Sites.Manage.All":        "create, change and delete the lists and documents of every site",
		"Sites.FullControl.All":   "full control of every site collection: its content, settings and permissions, and the admin centre",
		"TermStore.Read.All":      "read the terms that sites are tagged with",
		"TermStore.ReadWrite.All": "change the terms that sites are tagged with",
		"User.Read.All":           "read every user profile of SharePoint",
		"User.ReadWrite.All":      "change every user profile of SharePoint",
	}
}
