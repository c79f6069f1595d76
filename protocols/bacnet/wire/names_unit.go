package wire

// units are the engineering units of the standard (BACnetEngineeringUnits).
const units names = `
 0:square-meters 1:square-feet 2:milliamperes 3:amperes 4:ohms 5:volts 6:kilovolts 7:megavolts 8:volt-amperes
 9:kilovolt-amperes 10:megavolt-amperes 11:volt-amperes-reactive 12:kilovolt-amperes-reactive
 13:megavolt-amperes-reactive 14:degrees-phase 15:power-factor 16:joules 17:kilojoules 18:watt-hours 19:kilowatt-hours
 20:btus 21:therms 22:ton-hours 23:joules-per-kilogram-dry-air 24:btus-per-pound-dry-air 25:cycles-per-hour
 26:cycles-per-minute 27:hertz 28:grams-of-water-per-kilogram-dry-air 29:percent-relative-humidity 30:millimeters
 31:meters 32:inches 33:feet 34:watts-per-square-foot 35:watts-per-square-meter 36:lumens 37:luxes 38:foot-candles
 39:kilograms 40:pounds-mass 41:tons 42:kilograms-per-second 43:kilograms-per-minute 44:kilograms-per-hour
 45:pounds-mass-per-minute 46:pounds-mass-per-hour 47:watts 48:kilowatts 49:megawatts 50:btus-per-hour 51:horsepower
 52:tons-refrigeration 53:pascals 54:kilopascals 55:bars 56:pounds-force-per-square-inch 57:centimeters-of-water
 58:inches-of-water 59:millimeters-of-mercury 60:centimeters-of-mercury 61:inches-of-mercury 62:degrees-celsius
 63:degrees-kelvin 64:degrees-fahrenheit 65:degree-days-celsius 66:degree-days-fahrenheit 67:years 68:months 69:weeks
 70:days 71:hours 72:minutes 73:seconds 74:meters-per-second 75:kilometers-per-hour 76:feet-per-second
 77:feet-per-minute 78:miles-per-hour 79:cubic-feet 80:cubic-meters 81:imperial-gallons 82:liters 83:us-gallons
 84:cubic-feet-per-minute 85:cubic-meters-per-second 86:imperial-gallons-per-minute 87:liters-per-second
 88:liters-per-minute 89:us-gallons-per-minute 90:degrees-angular 91:degrees-celsius-per-hour
 92:degrees-celsius-per-minute 93:degrees-fahrenheit-per-hour 94:degrees-fahrenheit-per-minute 95:no-units
 96:parts-per-million 97:parts-per-billion 98:percent 99:percent-per-second 100:per-minute 101:per-second
 102:psi-per-degree-fahrenheit 103:radians 104:revolutions-per-minute 105:currency1 106:currency2 107:currency3
 108:currency4 109:currency5 110:currency6 111:currency7 112:currency8 113:currency9 114:currency10 115:square-inches
 116:square-centimeters 117:btus-per-pound 118:centimeters 119:pounds-mass-per-second 120:delta-degrees-fahrenheit
 121:delta-degrees-kelvin 122:kilohms 123:megohms 124:millivolts 125:kilojoules-per-kilogram 126:megajoules
 127:joules-per-degree-kelvin 128:joules-per-kilogram-degree-kelvin 129:kilohertz 130:megahertz 131:per-hour
 132:milliwatts 133:hectopascals 134:millibars 135:cubic-meters-per-hour 136:liters-per-hour
 137:kilowatt-hours-per-square-meter 138:kilowatt-hours-per-square-foot 139:megajoules-per-square-meter
 140:megajoules-per-square-foot 141:watts-per-square-meter-degree-kelvin 142:cubic-feet-per-second
 143:percent-obscuration-per-foot 144:percent-obscuration-per-meter 145:milliohms 146:megawatt-hours 147:kilo-btus
 148:mega-btus 149:kilojoules-per-kilogram-dry-air 150:megajoules-per-kilogram-dry-air
 151:kilojoules-per-degree-kelvin 152:megajoules-per-degree-kelvin 153:newton 154:grams-per-second
 155:grams-per-minute 156:tons-per-hour 157:kilo-btus-per-hour 158:hundredths-seconds 159:milliseconds
 160:newton-meters 161:millimeters-per-second 162:millimeters-per-minute 163:meters-per-minute 164:meters-per-hour
 165:cubic-meters-per-minute 166:meters-per-second-per-second 167:amperes-per-meter 168:amperes-per-square-meter
 169:ampere-square-meters 170:farads 171:henrys 172:ohm-meters 173:siemens 174:siemens-per-meter 175:teslas
 176:volts-per-degree-kelvin 177:volts-per-meter 178:webers 179:candelas 180:candelas-per-square-meter
 181:degrees-kelvin-per-hour 182:degrees-kelvin-per-minute 183:joule-seconds 184:radians-per-second
 185:square-meters-per-newton 186:kilograms-per-cubic-meter 187:newton-seconds 188:newtons-per-meter
 189:watts-per-meter-per-degree-kelvin 190:microsiemens 191:cubic-feet-per-hour 192:us-gallons-per-hour 193:kilometers
 194:micrometers 195:grams 196:milligrams 197:milliliters 198:milliliters-per-second 199:decibels
 200:decibels-millivolt 201:decibels-volt 202:millisiemens 203:watt-hours-reactive 204:kilowatt-hours-reactive
 205:megawatt-hours-reactive 206:millimeters-of-water 207:per-mille 208:grams-per-gram 209:kilograms-per-kilogram
 210:grams-per-kilogram 211:milligrams-per-gram 212:milligrams-per-kilogram 213:grams-per-milliliter
 214:grams-per-liter 215:milligrams-per-liter 216:micrograms-per-liter 217:grams-per-cubic-meter
 218:milligrams-per-cubic-meter 219:micrograms-per-cubic-meter 220:nanograms-per-cubic-meter
 221:grams-per-cubic-centimeter 222:becquerels 223:kilobecquerels 224:megabecquerels 225:gray 226:milligray
 227:microgray 228:sieverts 229:millisieverts 230:microsieverts 231:microsieverts-per-hour 232:decibels-a
 233:nephelometric-turbidity-unit 234:ph 235:grams-per-square-meter 236:minutes-per-degree-kelvin
 237:ohm-meter-squared-per-meter 238:ampere-seconds 239:volt-ampere-hours 240:kilovolt-ampere-hours
 241:megavolt-ampere-hours 242:volt-ampere-hours-reactive 243:kilovolt-ampere-hours-reactive
 244:megavolt-ampere-hours-reactive 245:volt-square-hours 246:ampere-square-hours 247:joule-per-hours
 248:cubic-feet-per-day 249:cubic-meters-per-day 250:watt-hours-per-cubic-meter 251:joules-per-cubic-meter
 252:mole-percent 253:pascal-seconds 254:million-standard-cubic-feet-per-minute 47808:standard-cubic-feet-per-day
 47809:million-standard-cubic-feet-per-day 47810:thousand-cubic-feet-per-day
 47811:thousand-standard-cubic-feet-per-day 47812:pounds-mass-per-day 47814:millirems 47815:millirems-per-hour
`
