// Package disk is the view that package filestore has of its folder.
//
// It is an interface so that package storetest can put a simulated disk in
// place of the operating system: one that loses power, fails, fills up, or
// takes its time.
package disk
