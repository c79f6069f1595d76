package tbclient

// AppendFile is for the tests of quarantine files.
var AppendFile = appendFile
