"""Measures of trained weights on people, sentences and voices that training never met."""
