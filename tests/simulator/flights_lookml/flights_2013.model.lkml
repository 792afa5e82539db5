# The built-in model, as people would have written it.
connection: "warehouse"
include: "/views/*.view"

explore: flights {
  description: "Every flight that left New York in 2013"
  join: airlines {
    type: left_outer
    relationship: many_to_one
    sql_on: ${flights.carrier} = ${airlines.carrier} ;;
  }
  join: origin {
    from: airports
    relationship: many_to_one
    sql_on: ${flights.origin} = ${origin.faa} ;;
  }
  join: destination {
    from: airports
    relationship: many_to_one
    sql_on: ${flights.destination} = ${destination.faa} ;;
  }
  join: planes {
    relationship: many_to_one
    foreign_key: tail_number
  }
  join: weather {
    relationship: many_to_one
    sql_on: ${weather.origin} = ${flights.origin}
      and ${weather.observed_raw} = ${flights.hour_raw} ;;
  }
  fields: [ALL_FIELDS*, -flights.hour_raw, -airlines.carrier, -planes.tail_number, -origin.count,
    -origin.highest, -destination.count, -destination.highest, -weather.origin,
    -weather.observed_raw, -weather.observed_time, -weather.observed_hour, -weather.observed_date,
    -weather.observed_week, -weather.observed_month, -weather.observed_year, -weather.wind_speed,
    -weather.is_freezing, -weather.count, -weather.average_temperature]
}

explore: airports {
  description: "The airports of the United States"
}

explore: weather {
  description: "The weather at New York's airports, hour by hour"
  fields: [ALL_FIELDS*, -weather.observed_raw]
}

explore: numbers {
  description: "Values that lose something on their way when handled without care"
}
