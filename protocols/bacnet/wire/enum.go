package wire

// EnumName returns the name of a value of the property's enumeration, such as
// degrees-celsius for 62 of units. It reports false if the property has no
// enumeration of the standard, or that has no such value.
func EnumName(t ObjectType, p Property, n uint32) (string, bool) {
	return enumeration(t, p).name(n)
}

// EnumNumber returns the value of the property's enumeration that has the name.
func EnumNumber(t ObjectType, p Property, name string) (uint32, bool) {
	return enumeration(t, p).number(Kebab(name))
}

// HasBinaryValues reports whether the values of the property are inactive and
// active.
func HasBinaryValues(t ObjectType, p Property) bool {
	switch t {
	case BinaryInput, BinaryOutput, BinaryValue:
	default:
		return false
	}
	switch p {
	case PresentValue, RelinquishDefault, PriorityArray, 6, 40: // also alarm-value, feedback-value
		return true
	default:
		return false
	}
}

// enumeration returns the names of the property's values.
func enumeration(t ObjectType, p Property) names {
	if HasBinaryValues(t, p) {
		return binaryValues
	}
	if p == PresentValue || p == RelinquishDefault {
		switch t {
		case LifeSafetyPoint, LifeSafetyZone:
			return lifeSafetyStates
		case LoadControl:
			return shedStates
		default:
			return names("")
		}
	}
	if t == LoopObject && p == 2 { // action
		return actions
	}
	return enumerationOf(p)
}

// enumerationOf returns the names of the values of a property that means the same in
// all objects.
func enumerationOf(p Property) names {
	switch p {
	case Units, 20, 27, 50, 82, 94: // of a loop: its variables and constants
		return units
	case 36: // event-state
		return eventStates
	case 103: // reliability
		return reliabilities
	case SystemStatus:
		return deviceStates
	case 72: // notify-type
		return notifyTypes
	case SegmentationSupported:
		return segmentations
	case 84: // polarity
		return polarities
	case 37: // event-type
		return eventTypes
	case ObjectTypeProperty:
		return objectTypes
	case 92: // program-state
		return programStates
	case 100: // reason-for-halt
		return programErrors
	case 208: // node-type
		return nodeTypes
	case 197: // logging-type
		return loggingTypes
	case 196: // last-restart-reason
		return restartReasons
	case 338: // backup-and-restore-state
		return backupStates
	case 378: // in-progress
		return lightingStates
	case 41: // file-access-method
		return fileAccessMethods
	case 160: // mode
		return lifeSafetyModes
	case 164: // tracking-value
		return lifeSafetyStates
	case 163: // silenced
		return silencedStates
	case 231: // door-status
		return doorStates
	case 233: // lock-status
		return lockStates
	case 370: // write-status
		return writeStates
	case 427: // network-type
		return networkTypes
	default:
		return names("")
	}
}

// FlagNames returns the names of the bits of a property that is a bit string, first
// bit first, or nil.
func FlagNames(p Property) []string {
	switch p {
	case StatusFlags, 198: // member-status-flags
		return []string{"in-alarm", "fault", "overridden", "out-of-service"}
	case 0, 35, 1: // acked-transitions, event-enable, ack-required
		return []string{"to-offnormal", "to-fault", "to-normal"}
	case 52: // limit-enable
		return []string{"low-limit-enable", "high-limit-enable"}
	default:
		return nil
	}
}
