package wire

// eventStates are those of BACnetEventState.
const eventStates names = `
 0:normal 1:fault 2:offnormal 3:high-limit 4:low-limit 5:life-safety-alarm
`

// reliabilities are those of BACnetReliability.
const reliabilities names = `
 0:no-fault-detected 1:no-sensor 2:over-range 3:under-range 4:open-loop 5:shorted-loop 6:no-output 7:unreliable-other
 8:process-error 9:multi-state-fault 10:configuration-error 12:communication-failure 13:member-fault
 14:monitored-object-fault 15:tripped 16:lamp-failure 17:activation-failure 18:renew-dhcp-failure
 19:renew-fd-registration-failure 20:restart-auto-negotiation-failure 21:restart-failure
 22:proprietary-command-failure 23:faults-listed 24:referenced-object-fault
`

// deviceStates are those of BACnetDeviceStatus.
const deviceStates names = `
 0:operational 1:operational-read-only 2:download-required 3:download-in-progress 4:non-operational
 5:backup-in-progress
`

// notifyTypes are those of BACnetNotifyType.
const notifyTypes names = `
 0:alarm 1:event 2:ack-notification
`

// segmentations are those of BACnetSegmentation.
const segmentations names = `
 0:segmented-both 1:segmented-transmit 2:segmented-receive 3:no-segmentation
`

// programStates are those of BACnetProgramState.
const programStates names = `
 0:idle 1:loading 2:running 3:waiting 4:halted 5:unloading
`

// programErrors are those of BACnetProgramError.
const programErrors names = `
 0:normal 1:load-failed 2:internal 3:program 4:other
`

// eventTypes are those of BACnetEventType.
const eventTypes names = `
 0:change-of-bitstring 1:change-of-state 2:change-of-value 3:command-failure 4:floating-limit 5:out-of-range
 6:complex-event-type 8:change-of-life-safety 9:extended 10:buffer-ready 11:unsigned-range 13:access-event
 14:double-out-of-range 15:signed-out-of-range 16:unsigned-out-of-range 17:change-of-characterstring
 18:change-of-status-flags 19:change-of-reliability 20:none 21:change-of-discrete-value 22:change-of-timer
`

// nodeTypes are those of BACnetNodeType.
const nodeTypes names = `
 0:unknown 1:system 2:network 3:device 4:organizational 5:area 6:equipment 7:point 8:collection 9:property
 10:functional 11:other 12:subsystem 13:building 14:floor 15:section 16:module 17:tree 18:member 19:protocol 20:room
 21:zone
`

// loggingTypes are those of BACnetLoggingType.
const loggingTypes names = `
 0:polled 1:cov 2:triggered
`

// restartReasons are those of BACnetRestartReason.
const restartReasons names = `
 0:unknown 1:coldstart 2:warmstart 3:detected-power-lost 4:detected-powered-off 5:hardware-watchdog
 6:software-watchdog 7:suspended 8:activate-changes
`

// backupStates are those of BACnetBackupState.
const backupStates names = `
 0:idle 1:preparing-for-backup 2:preparing-for-restore 3:performing-a-backup 4:performing-a-restore 5:backup-failure
 6:restore-failure
`

// lifeSafetyStates are those of BACnetLifeSafetyState.
const lifeSafetyStates names = `
 0:quiet 1:pre-alarm 2:alarm 3:fault 4:fault-pre-alarm 5:fault-alarm 6:not-ready 7:active 8:tamper 9:test-alarm
 10:test-active 11:test-fault 12:test-fault-alarm 13:holdup 14:duress 15:tamper-alarm 16:abnormal 17:emergency-power
 18:delayed 19:blocked 20:local-alarm 21:general-alarm 22:supervisory 23:test-supervisory
`

// lifeSafetyModes are those of BACnetLifeSafetyMode.
const lifeSafetyModes names = `
 0:off 1:on 2:test 3:manned 4:unmanned 5:armed 6:disarmed 7:prearmed 8:slow 9:fast 10:disconnected 11:enabled
 12:disabled 13:automatic-release-disabled 14:default
`

// lightingStates are those of BACnetLightingInProgress.
const lightingStates names = `
 0:idle 1:fade-active 2:ramp-active 3:not-controlled 4:other
`

// doorStates are those of BACnetDoorStatus.
const doorStates names = `
 0:closed 1:opened 2:unknown 3:door-fault 4:unused 5:none 6:closing 7:opening 8:safety-locked 9:limited-opened
`

// lockStates are those of BACnetLockStatus.
const lockStates names = `
 0:locked 1:unlocked 2:lock-fault 3:unused 4:unknown
`

// shedStates are those of BACnetShedState.
const shedStates names = `
 0:shed-inactive 1:shed-request-pending 2:shed-compliant 3:shed-non-compliant
`

// fileAccessMethods are those of BACnetFileAccessMethod.
const fileAccessMethods names = `
 0:record-access 1:stream-access
`

// actions are those of BACnetAction.
const actions names = `
 0:direct 1:reverse
`

// writeStates are those of BACnetWriteStatus.
const writeStates names = `
 0:idle 1:in-progress 2:successful 3:failed
`

// networkTypes are those of BACnetNetworkType.
const networkTypes names = `
 0:ethernet 1:arcnet 2:mstp 3:ptp 4:lontalk 5:ipv4 6:zigbee 7:virtual 9:ipv6 10:serial
`

// silencedStates are those of BACnetSilencedState.
const silencedStates names = `
 0:unsilenced 1:audible-silenced 2:visible-silenced 3:all-silenced
`

// polarities are those of BACnetPolarity.
const polarities names = `
 0:normal 1:reverse
`

// binaryValues are those of BACnetBinaryPV.
const binaryValues names = `
 0:inactive 1:active
`
